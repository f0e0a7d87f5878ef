#include "common/data/cache_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "common/base/error.h"
#include "common/data/source_files.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

constexpr int kAttempts = 1000;  // names may be taken by processes on other hosts with the same id

struct OpenFile {
  int descriptor;
  ~OpenFile() {
    if (descriptor >= 0) ::close(descriptor);
  }
};

/// Removes the temporary file unless it was renamed.
struct TemporaryFile {
  std::string path;
  int descriptor = -1;
  bool renamed = false;
  ~TemporaryFile() {
    if (descriptor >= 0) ::close(descriptor);
    if (!renamed && !path.empty()) ::unlink(path.c_str());
  }
};

[[noreturn]] void fail(const fs::path& directory, int code) {
  throw Error(directory.string() + ": caches cannot be written (" + std::generic_category().message(code) +
              ")");
}

/// True for the errors of a file system that does not support a call.
bool unsupported(int code) {
  return code == EINVAL || code == ENOSYS || code == ENOTSUP || code == EOPNOTSUPP || code == ENOLCK;
}

void create(const fs::path& file, TemporaryFile& temporary) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const std::string name =
        file.string() + "." + std::to_string(::getpid()) + "." + std::to_string(attempt) + ".tmp";
    temporary.descriptor = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (temporary.descriptor >= 0) {
      temporary.path = name;
      return;
    }
    if (errno != EEXIST) break;
  }
  fail(file.parent_path(), errno);
}

/// A folder that its group may write is shared with the group, whatever the umask is.
void share(int descriptor, const struct stat& directory) {
  struct stat status {};
  if ((directory.st_mode & S_IWGRP) == 0 || ::fstat(descriptor, &status) != 0) return;
  const bool same_group = status.st_gid == directory.st_gid ||
                          ::fchown(descriptor, static_cast<uid_t>(-1), directory.st_gid) == 0;
  if (same_group && ::fchmod(descriptor, (status.st_mode & 0777) | S_IRGRP) != 0) return;
}

void write_all(const TemporaryFile& temporary, const std::vector<std::uint8_t>& bytes,
               const fs::path& directory) {
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t wrote = ::write(temporary.descriptor, bytes.data() + done, bytes.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) fail(directory, errno);
    done += static_cast<std::size_t>(wrote);
  }
}

/// Flushes to disk. Returns a message for the user if the file system cannot.
std::string flush(const TemporaryFile& temporary, const fs::path& directory) {
  if (::fsync(temporary.descriptor) == 0) return "";
  if (!unsupported(errno)) fail(directory, errno);
  return directory.string() + ": its file system does not flush files (" +
         std::generic_category().message(errno) + "): a power cut may lose a cache, which is then rebuilt";
}

bool taken(const fs::path& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0;
}

}  // namespace

CacheFolder::CacheFolder(fs::path directory) : CacheFolder(std::move(directory), ::geteuid()) {}

CacheFolder::CacheFolder(fs::path directory, uid_t self) : directory_(std::move(directory)), self_(self) {}

bool CacheFolder::is_open() const {
  struct stat status {};
  return ::stat(directory_.c_str(), &status) == 0 && (status.st_mode & S_IWOTH) != 0;
}

bool CacheFolder::trusted(const struct stat& status) const {
  return S_ISREG(status.st_mode) && (!is_open() || status.st_uid == self_ || status.st_uid == 0);
}

bool CacheFolder::trusted(const fs::path& file) const {
  struct stat status {};
  return ::lstat(file.c_str(), &status) == 0 && trusted(status);
}

fs::path CacheFolder::own(const std::string& name) const {
  return directory_ / (name + "." + std::to_string(self_));
}

std::vector<fs::path> CacheFolder::candidates(const std::string& name) const {
  return {directory_ / name, own(name)};
}

std::vector<std::uint8_t> CacheFolder::read(const fs::path& file, std::uint64_t limit) const {
  if (!trusted(file)) return {};
  const OpenFile open{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  if (open.descriptor < 0)
    throw InputError("it cannot be read (" + std::generic_category().message(errno) + ")");
  // Check again: the file may have been replaced since.
  struct stat status {};
  if (::fstat(open.descriptor, &status) != 0 || !trusted(status)) return {};
  return read_open_file(open.descriptor, file, limit);
}

std::string CacheFolder::write(const std::string& name, const std::vector<std::uint8_t>& bytes) const {
  std::error_code error;
  fs::create_directories(directory_, error);
  struct stat directory {};
  if (::stat(directory_.c_str(), &directory) != 0 || !S_ISDIR(directory.st_mode))
    throw Error(directory_.string() + ": cannot be made (" +
                (error ? error.message() : std::string("it is no folder")) + ")");
  const fs::path plain = directory_ / name;
  TemporaryFile temporary;
  create(plain, temporary);
  share(temporary.descriptor, directory);
  write_all(temporary, bytes, directory_);
  const std::string remark = flush(temporary, directory_);
  if (!trusted(temporary.path))
    throw Error(directory_.string() +
                ": everybody may write there, and what this user writes belongs to another user, so caches "
                "in it cannot be trusted");
  const bool strangers = taken(plain) && !trusted(plain);
  temporary.renamed = !strangers && std::rename(temporary.path.c_str(), plain.c_str()) == 0;
  if (temporary.renamed) return remark;
  if (!strangers && errno != EPERM && errno != EACCES && errno != EBUSY && errno != EISDIR)
    fail(directory_, errno);
  // The existing file belongs to another user, and the folder lets only owners replace files.
  if (std::rename(temporary.path.c_str(), own(name).c_str()) != 0) fail(directory_, errno);
  temporary.renamed = true;
  return remark;
}

}  // namespace outerloop::data
