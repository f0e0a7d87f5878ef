#pragma once
// Converts a Document to the bytes of an HDF5 file and back. Files are created and parsed in memory, so that
// the verified bytes are the parsed bytes, and only complete files reach the disk. (For arrays of users see
// common/data/hdf5_array.)
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/store/document.h"

namespace outerloop::store {

/// Size of our own block in front of the HDF5 superblock, in bytes.
inline constexpr std::size_t kUserBlock = 512;

/// The bytes of an HDF5 file with `document` in it. The first kUserBlock bytes are zero, for the caller to
/// fill. The same document gives the same bytes (no times are stored). If a dataset has the attribute `axes`,
/// names separated by commas, its axes get these labels, and a one-dimensional dataset of the same group with
/// an axis's name and length is attached as its dimension scale. Throws Error with the library's own text.
std::vector<std::uint8_t> encode_hdf5(const Document& document);

/// Reads a whole HDF5 file from memory. Only what encode_hdf5 writes is accepted: hard links, plain
/// contiguous or compact datasets inside the file, and the types of ElementType; so no external file is ever
/// opened, and nothing larger than the file itself is allocated. Labels and scales are ignored. Throws Error
/// with the library's own text.
Document decode_hdf5(const std::vector<std::uint8_t>& bytes);

}  // namespace outerloop::store
