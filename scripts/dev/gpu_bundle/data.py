"""Data of scripts/dev/gpu-bundle: data.py GLYPHS.cache FASHION_MNIST FOLDER

Writes FOLDER/glyphs.npy, [n, side, side] bytes, with glyphs.labels.npy, from a file of the dataset cache (its layout is in
common/data/cache.h), and FOLDER/fashion-mnist, the first images of each part, in MNIST's layout.
"""

import gzip
import os
import struct
import sys

GLYPHS_PER_CLASS = 60
IMAGES = {"train": 3000, "t10k": 1000}  # evaluations need 1,000 without labels


def write_npy(path, descr, shape, values):
    header = "{'descr': '%s', 'fortran_order': False, 'shape': %r, }" % (descr, shape)
    header += " " * (-(10 + len(header) + 1) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + values)


def read_cache(path):
    """Side, labels, and the pixels of all examples."""
    with open(path, "rb") as file:
        data = file.read()
    magic, _, side, _, classes, name_bytes, examples, scores, remark_bytes = struct.unpack_from("<8sIIQQQQQQ", data)
    if magic != b"OLDATA\r\n":
        sys.exit(path + ": not a file of the dataset cache")
    at = struct.calcsize("<8sIIQQQQQQ") + 32 + 32 + name_bytes + remark_bytes + 16 * classes
    labels = struct.unpack_from("<%dI" % examples, data, at)
    pixels = data[at + 4 * (examples + scores) :]
    if len(pixels) != examples * side * side:
        sys.exit(path + ": its size is not what its header announces")
    return side, labels, pixels


def write_glyphs(cache, folder):
    side, labels, pixels = read_cache(cache)
    members = {}
    for example, label in enumerate(labels):
        members.setdefault(label, []).append(example)
    kept = []
    for examples in members.values():
        step = max(1.0, len(examples) / GLYPHS_PER_CLASS)
        kept += [examples[int(i * step)] for i in range(min(GLYPHS_PER_CLASS, len(examples)))]
    size = side * side
    write_npy(folder + "/glyphs.npy", "|u1", (len(kept), side, side), b"".join(pixels[e * size : (e + 1) * size] for e in kept))
    write_npy(folder + "/glyphs.labels.npy", "<i4", (len(kept),), struct.pack("<%di" % len(kept), *(labels[e] for e in kept)))


def write_part(source, target, name, axes, count):
    """The first `count` entries of an IDX file; `axes` axes, of bytes."""
    file_name = "/%s-idx%d-ubyte" % (name, axes)
    with gzip.open(source + file_name + ".gz") as file:
        header = file.read(4 + 4 * axes)
        shape = struct.unpack_from(">%dI" % axes, header, 4)
        size = 1
        for extent in shape[1:]:
            size *= extent
        values = file.read(count * size)
    with gzip.GzipFile(target + file_name + ".gz", "wb", mtime=0) as file:
        file.write(header[:4] + struct.pack(">%dI" % axes, len(values) // size, *shape[1:]) + values)


def main(cache, fashion_mnist, folder):
    write_glyphs(cache, folder)
    target = folder + "/fashion-mnist"
    os.makedirs(target)
    for part, count in IMAGES.items():
        write_part(fashion_mnist, target, part + "-images", 3, count)
        write_part(fashion_mnist, target, part + "-labels", 1, count)


if __name__ == "__main__":
    main(*sys.argv[1:])
