#pragma once
// Converts a Document to the bytes of an HDF5 file and back. Files are made and parsed in memory, so that the
// bytes that were verified are the bytes that are parsed, and the disk sees only whole files. (Arrays of the
// user's own are read by common/data/hdf5_array.)
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/store/document.h"

namespace outerloop::store {

/// Bytes in front of the HDF5 superblock that belong to us.
inline constexpr std::size_t kUserBlock = 512;

/// The bytes of an HDF5 file with `document` in it. The first kUserBlock bytes are zero, for the caller to
/// fill. The same document gives the same bytes (no times are kept). Where a dataset has the attribute
/// `axes`, names with commas between them, its axes are labelled so, and a dataset of one axis beside it that
/// has such a name and the axis's length is attached as its dimension scale. Throws Error with the library's
/// own text.
std::vector<std::uint8_t> encode_hdf5(const Document& document);

/// Reads an HDF5 file from memory, all of it. Only what encode_hdf5 writes is accepted: hard links, plain
/// contiguous or compact datasets inside the file, and the types of ElementType; so no external file is ever
/// opened, and nothing larger than the file itself is allocated. Labels and scales are passed over. Throws
/// Error with the library's own text.
Document decode_hdf5(const std::vector<std::uint8_t>& bytes);

}  // namespace outerloop::store
