#pragma once
// Files that somebody names: whether they are there, can be read, and are files.
#include <sys/stat.h>

#include <filesystem>

#include "common/base/error.h"

namespace outerloop::base {

/// Thrown where a file could not be read although it may be intact: it is missing, its permissions forbid it,
/// or the file system reports an error. A result made without it must not be cached.
class UnreadableFile : public InputError {
 public:
  using InputError::InputError;
};

/// Throws UnreadableFile that names the path and says why: `code` is errno of the call that failed.
[[noreturn]] void unreadable(const std::filesystem::path& path, int code);

/// Throws UnreadableFile that names the path unless `status` is that of a regular file.
void require_regular(const struct stat& status, const std::filesystem::path& path);

/// Returns `path`. Throws UnreadableFile that names it where it is missing, cannot be looked at, or is no
/// regular file: opening a pipe would wait for a writer.
const std::filesystem::path& require_file(const std::filesystem::path& path);

/// Whether there is anything of that name. Throws UnreadableFile that names it where that cannot be told, and
/// for a symbolic link that leads nowhere.
bool is_present(const std::filesystem::path& path);

}  // namespace outerloop::base
