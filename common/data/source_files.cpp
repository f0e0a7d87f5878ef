#include "common/data/source_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "common/base/text.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

struct OpenFile {
  int descriptor;
  ~OpenFile() {
    if (descriptor >= 0) ::close(descriptor);
  }
};

[[noreturn]] void unreadable(const fs::path& path, int code) {
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

}  // namespace

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

std::vector<std::uint8_t> read_file(const fs::path& path, std::uint64_t limit) {
  // Without O_NONBLOCK, opening a pipe of that name would block.
  const OpenFile file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.descriptor < 0) unreadable(path, errno);
  return read_open_file(file.descriptor, path, limit);
}

std::vector<std::uint8_t> read_open_file(int descriptor, const fs::path& path, std::uint64_t limit) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) unreadable(path, errno);
  require_regular(status, path);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size == 0) throw InputError(path.string() + ": the file is empty: fetch it again");
  if (size > limit)
    throw InputError(path.string() + ": " + std::to_string(size) + " bytes, more than the " +
                     std::to_string(limit) + " that are read: use a smaller file");
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(size));
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t got = ::read(descriptor, bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) unreadable(path, errno);
    if (got == 0) throw UnreadableFile(path.string() + ": became shorter while it was read: try again");
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

std::string read_text_file(const fs::path& path, std::uint64_t limit) {
  const std::vector<std::uint8_t> bytes = read_file(path, limit);
  return base::without_byte_order_mark(std::string(bytes.begin(), bytes.end()), path.string());
}

fs::path canonical_path(const fs::path& path) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  fs::path canonical = fs::weakly_canonical(error ? path : absolute, error);
  if (error) canonical = absolute.lexically_normal();
  return canonical.has_filename() || !canonical.has_parent_path() ? canonical : canonical.parent_path();
}

std::string file_stamp(const fs::path& path) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);
  const auto time = fs::last_write_time(path, error).time_since_epoch().count();
  return path.string() + " " + std::to_string(error ? 0 : size) + " " + std::to_string(error ? 0 : time);
}

}  // namespace outerloop::data
