#pragma once
// Access to a dataset's files: reading with a size limit, canonical paths, stamps for the cache.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/base/error.h"

namespace outerloop::data {

/// Thrown where a file could not be read although it may be intact: it is missing, its permissions forbid it,
/// or the file system reports an error. A result made without it must not be cached.
class UnreadableFile : public InputError {
 public:
  using InputError::InputError;
};

/// Returns `path`. Throws UnreadableFile that names it where it is missing, cannot be looked at, or is no
/// regular file: opening a pipe would wait for a writer.
const std::filesystem::path& require_file(const std::filesystem::path& path);

/// Whether there is anything of that name. Throws UnreadableFile that names it where that cannot be told, and
/// for a symbolic link that leads nowhere.
bool is_present(const std::filesystem::path& path);

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
