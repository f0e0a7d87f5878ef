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

}  // namespace

std::vector<std::uint8_t> read_file(const fs::path& path, std::uint64_t limit) {
  // Without O_NONBLOCK, opening a pipe of that name would block.
  const OpenFile file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.descriptor < 0) base::unreadable(path, errno);
  return read_open_file(file.descriptor, path, limit);
}

std::vector<std::uint8_t> read_open_file(int descriptor, const fs::path& path, std::uint64_t limit) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) base::unreadable(path, errno);
  base::require_regular(status, path);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size == 0) throw InputError(path.string() + ": the file is empty: fetch it again");
  if (size > limit)
    throw InputError(path.string() + ": " + std::to_string(size) + " bytes, more than the " +
                     std::to_string(limit) + " that are read: use a smaller file");
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(size));
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t got = ::read(descriptor, bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) base::unreadable(path, errno);
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
