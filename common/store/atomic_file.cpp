#include "common/store/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/store/optional_call.h"

namespace outerloop::store {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTemporary = ".tmp";
constexpr int kAttempts = 1000;  // names may be taken by processes on other hosts with the same id

std::string reason(int code) { return std::generic_category().message(code); }

[[noreturn]] void refuse(const std::string& path, const char* what, int code) {
  throw Error(path + ": " + what + ": " + reason(code) + "; what was there before is unchanged");
}

std::string temporary_name(const std::string& path, int attempt) {
  return path + "." + std::to_string(getpid()) + "." + std::to_string(attempt) + kTemporary;
}

/// Removes the temporary file unless it was renamed.
struct Temporary {
  std::string path;
  bool renamed = false;
  ~Temporary() {
    if (!renamed && !path.empty()) unlink(path.c_str());
  }
};

Descriptor create_temporary(const std::string& path, Temporary& temporary) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const std::string name = temporary_name(path, attempt);
    Descriptor file(open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (file.open()) {
      temporary.path = name;
      return file;
    }
    if (errno != EEXIST) refuse(path, "cannot be written", errno);
  }
  refuse(path, "cannot be written, a thousand temporary files are in the way", EEXIST);
}

void sync_directory_of(const std::string& path) {
  std::string directory = fs::path(path).parent_path().string();
  if (directory.empty()) directory = ".";
  const Descriptor handle(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (handle.open() && fsync(handle.get()) == 0) return;
  const int code = errno;
  const char* what = handle.open() ? "cannot be flushed" : "cannot be opened to be flushed";
  // A folder that is writable but not readable cannot be opened for fsync.
  if (!not_supported(code) && !(code == EACCES && !handle.open()))
    throw Error(directory + ": " + what + ": " + reason(code));
  say_not_supported(OptionalCall::flush_folder, directory, code);
}

void sync_file(const std::string& path, const Descriptor& file) {
  if (fsync(file.get()) == 0) return;
  const int code = errno;
  if (!not_supported(code)) refuse(path, "cannot be flushed", code);
  say_not_supported(OptionalCall::flush_file, path, code);
}

/// The target of a symlink, so that the rename replaces the target and keeps the link.
std::string resolved(const std::string& path) {
  std::error_code error;
  if (!fs::is_symlink(fs::symlink_status(path, error))) return path;
  const fs::path target = fs::weakly_canonical(path, error);
  return error ? path : target.string();
}

void write_straight(const std::string& path, const void* bytes, std::size_t count) {
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.open()) throw Error(path + ": cannot be written: " + reason(errno));
  if (const int code = write_fully(file, bytes, count))
    throw Error(path + ": cannot be written: " + reason(code));
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    close();
    number_ = other.release();
  }
  return *this;
}

void Descriptor::close() {
  if (number_ >= 0) ::close(number_);
  number_ = -1;
}

int Descriptor::release() { return std::exchange(number_, -1); }

int write_fully(const Descriptor& file, const void* bytes, std::size_t count) {
  const char* next = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t written = ::write(file.get(), next, count);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    if (written == 0) return ENOSPC;
    next += written;
    count -= static_cast<std::size_t>(written);
  }
  return 0;
}

void write_file_atomically(const std::string& path, const void* bytes, std::size_t count) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (fs::is_directory(status)) throw Error(path + ": cannot be written: it is a folder");
  if (fs::exists(status) && !fs::is_regular_file(status)) return write_straight(path, bytes, count);

  const std::string target = resolved(path);
  Temporary temporary;
  Descriptor file = create_temporary(target, temporary);
  if (const int code = write_fully(file, bytes, count)) refuse(path, "cannot be written", code);
  sync_file(path, file);
  file.close();
  if (const int code = move_over(temporary.path, target)) refuse(path, "cannot be replaced", code);
  temporary.renamed = true;
  sync_directory_of(target);
}

void write_file_atomically(const std::string& path, const std::string& text) {
  write_file_atomically(path, text.data(), text.size());
}

int move_over(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return 0;
  if (errno != EEXIST) return errno;
  // Some network and FUSE file systems rename only to unused names.
  if (unlink(to.c_str()) != 0 && errno != ENOENT) return EEXIST;
  return rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

GrowingFile::GrowingFile(std::string path) : path_(std::move(path)) {
  std::error_code error;
  const auto status = fs::status(path_, error);
  if (fs::is_directory(status)) throw Error(path_ + ": cannot be written: it is a folder");
  if (fs::exists(status) && !fs::is_regular_file(status)) return;
  target_ = resolved(path_);
  Temporary temporary;
  file_ = create_temporary(target_, temporary);
  temporary_ = temporary.path;
  temporary.renamed = true;  // from here on it is this object's
}

GrowingFile::~GrowingFile() {
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void GrowingFile::append(const void* bytes, std::size_t count) {
  if (temporary_.empty())
    held_.append(static_cast<const char*>(bytes), count);
  else if (const int code = write_fully(file_, bytes, count))
    refuse(path_, "cannot be written", code);
}

void GrowingFile::replace_begin(const void* bytes, std::size_t count) {
  if (temporary_.empty())
    held_.replace(0, count, static_cast<const char*>(bytes), count);
  else if (pwrite(file_.get(), bytes, count, 0) != static_cast<ssize_t>(count))
    refuse(path_, "cannot be written", errno);
}

void GrowingFile::finish() {
  if (temporary_.empty()) return write_straight(path_, held_.data(), held_.size());
  sync_file(path_, file_);
  file_.close();
  if (const int code = move_over(temporary_, target_)) refuse(path_, "cannot be replaced", code);
  temporary_.clear();
  sync_directory_of(target_);
}

void point_symlink(const std::string& path, const std::string& target) {
  const auto refuse_link = [&](const char* what, int code) {
    throw Error(path + ": the link cannot be " + what + ": " + reason(code));
  };
  Temporary temporary;
  for (int attempt = 0; attempt < kAttempts && temporary.path.empty(); ++attempt) {
    const std::string name = temporary_name(path, attempt);
    if (symlink(target.c_str(), name.c_str()) == 0)
      temporary.path = name;
    else if (errno != EEXIST)
      refuse_link("made", errno);
  }
  if (temporary.path.empty()) refuse_link("made", EEXIST);
  if (const int code = move_over(temporary.path, path)) refuse_link("moved", code);
  temporary.renamed = true;
  sync_directory_of(path);
}

void remove_leftovers(const std::string& directory) {
  std::error_code error;
  std::vector<fs::path> leftovers;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error))
    if (entry->path().extension() == kTemporary) leftovers.push_back(entry->path());
  for (const auto& path : leftovers)
    if (!fs::is_directory(fs::symlink_status(path, error))) fs::remove(path, error);
}

}  // namespace outerloop::store
