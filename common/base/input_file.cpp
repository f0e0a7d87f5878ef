#include "common/base/input_file.h"

#include <sys/stat.h>

#include <cerrno>
#include <string>
#include <system_error>

namespace outerloop::base {
namespace fs = std::filesystem;

void unreadable(const fs::path& path, int code) {
  if (code == ENOENT || code == ENOTDIR)
    throw UnreadableFile(path.string() + ": no such file: check the path");
  throw UnreadableFile(path.string() + ": cannot be read (" + std::generic_category().message(code) +
                       "): check its permissions and its file system");
}

void require_regular(const struct stat& status, const fs::path& path) {
  if (S_ISREG(status.st_mode)) return;
  throw UnreadableFile(path.string() +
                       (S_ISDIR(status.st_mode) ? ": is a folder" : ": is a pipe or a device") +
                       ", no file: check the path");
}

const fs::path& require_file(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) unreadable(path, errno);
  require_regular(status, path);
  return path;
}

bool is_present(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) return true;
  const int code = errno;
  if (::lstat(path.c_str(), &status) == 0) {
    if (code == ENOENT || code == ENOTDIR)
      throw UnreadableFile(path.string() + ": is a symbolic link that leads nowhere: bring its file back");
    unreadable(path, code);
  }
  if (errno != ENOENT && errno != ENOTDIR) unreadable(path, errno);
  return false;
}

}  // namespace outerloop::base
