#pragma once
// Access to a dataset's files: reading with a size limit, canonical paths, stamps for the cache.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/base/input_file.h"

namespace outerloop::data {

using base::is_present;
using base::require_file;
using base::UnreadableFile;

/// Every byte of a regular file. Throws InputError that names it where it is empty, or larger than `limit`
/// bytes (checked before anything is allocated), and UnreadableFile where it cannot be read or is no regular
/// file.
std::vector<std::uint8_t> read_file(const std::filesystem::path& path, std::uint64_t limit);

/// The canonical form of a path: absolute, symbolic links resolved as far as the path exists, no trailing
/// slash.
std::filesystem::path canonical_path(const std::filesystem::path& path);

/// As read_file, for an open file; `path` names it in errors.
std::vector<std::uint8_t> read_open_file(int descriptor, const std::filesystem::path& path,
                                         std::uint64_t limit);

/// The text of a file, without UTF-8's byte order mark. Throws what read_file throws, and InputError where it
/// is UTF-16.
std::string read_text_file(const std::filesystem::path& path, std::uint64_t limit);

/// "path size mtime", which changes when the file is replaced. Cache keys are made from it.
std::string file_stamp(const std::filesystem::path& path);

}  // namespace outerloop::data
