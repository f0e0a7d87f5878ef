#pragma once
// Atomic file writes (temporary file, fsync, rename): a file is either complete or absent.
#include <cstddef>
#include <string>

namespace outerloop::store {

/// A POSIX file descriptor that closes itself.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }

  int get() const { return number_; }
  bool open() const { return number_ >= 0; }
  void close();

 private:
  int release();
  int number_ = -1;
};

/// Writes all `count` bytes at the descriptor's position, continuing after interruptions and short writes.
/// Returns 0, or the errno of the write that failed.
int write_fully(const Descriptor& file, const void* bytes, std::size_t count);

/// Writes `text` (any bytes) to `path`: into a new `path`.PID.N.tmp in the same folder, which is flushed,
/// fsynced and renamed over `path`; then the directory is fsynced. A file system without fsync is reported
/// once. A symlink keeps its target; anything other than a regular file (/dev/stdout, a pipe) is written
/// directly. Throws Error that names the path and the reason; an old file then stays intact, and the .tmp is
/// removed.
void write_file_atomically(const std::string& path, const std::string& text);
void write_file_atomically(const std::string& path, const void* bytes, std::size_t count);

/// rename() that also works on file systems that do not replace an existing file: `to` is then deleted first,
/// and a crash in between leaves only `from`. Returns 0, or the errno.
int move_over(const std::string& from, const std::string& to);

/// A file that is written piece by piece and appears under its name only when it is complete; otherwise
/// nothing is left of it. Anything other than a regular file (/dev/stdout, a pipe) is written at the end. All
/// functions throw Error that names the path and the reason.
class GrowingFile {
 public:
  explicit GrowingFile(std::string path);
  ~GrowingFile();
  GrowingFile(const GrowingFile&) = delete;
  GrowingFile& operator=(const GrowingFile&) = delete;

  void append(const void* bytes, std::size_t count);
  /// Overwrites the first bytes, which must already exist.
  void replace_begin(const void* bytes, std::size_t count);
  /// The temporary path, for a library that writes files by name; empty unless the target is a regular file.
  const std::string& temporary() const { return temporary_; }
  /// Flushes and renames.
  void finish();

 private:
  std::string path_, target_, temporary_;
  Descriptor file_;
  std::string held_;  // unless the target is a regular file
};

/// Points the symlink `path` at `target` in one step (a new symlink renamed over it). Throws Error.
void point_symlink(const std::string& path, const std::string& target);

/// Removes the leftovers of interrupted writes in `directory` (*.tmp). Only the single process that writes
/// there may call it.
void remove_leftovers(const std::string& directory);

}  // namespace outerloop::store
