#pragma once
// Reader of IDX, the format of MNIST's files: two zero bytes, the element type, the number of axes, each
// extent as a big-endian 32-bit number, then the elements, row-major. Plain or gzipped.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace outerloop::data {

struct Idx {
  std::vector<std::int64_t> shape;     ///< 1 to 4 extents, each >= 1
  std::vector<std::uint8_t> elements;  ///< product of the extents
};

/// The header's extents. `bytes` holds the first `count` bytes of the (decompressed) file, of which 4 + 4 ·
/// axes are read. Throws InputError, beginning with `name`, for a wrong magic number, a type other than
/// unsigned bytes, no or more than four axes, an extent of zero, more than 2^40 elements, or a header that
/// ends early.
std::vector<std::int64_t> parse_idx_header(const std::uint8_t* bytes, std::size_t count,
                                           const std::string& name);

/// The whole file. The header's extents are compared with the file's size before anything is allocated.
/// Throws InputError that names the file: all of the above, truncated data, damaged gzip data, bytes left
/// over.
Idx read_idx(const std::filesystem::path& path);

}  // namespace outerloop::data
