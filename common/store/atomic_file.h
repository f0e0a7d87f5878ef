#pragma once
// Atomic file writes (temporary file, fsync, rename), so that a file is whole or absent.
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

/// Writes all `count` bytes at the descriptor's position, going on after interruptions and short writes.
/// Returns 0, or the errno of the write that failed.
int write_fully(const Descriptor& file, const void* bytes, std::size_t count);

/// Writes `text` (any bytes) to `path`: into a new `path`.PID.N.tmp beside it, flushed and fsynced, renamed
/// over `path`, the directory fsynced; a file system that knows no fsync of one of them is said once. A
/// symlink keeps pointing where it points; what is no regular file
/// (/dev/stdout, a pipe) is written straight into. Throws Error that names the path and the reason; an old
/// file stays whole then, and the .tmp is removed.
void write_file_atomically(const std::string& path, const std::string& text);
void write_file_atomically(const std::string& path, const void* bytes, std::size_t count);

/// rename(), also where the file system does not replace what is there: then `to` goes first, and a crash in
/// between leaves `from` alone. Returns 0, or the errno.
int move_over(const std::string& from, const std::string& to);

/// A file that grows piece by piece and appears under its name when it is whole; else nothing is left of it.
/// What is no regular file (/dev/stdout, a pipe) gets all of it at the end. Everything throws Error that
/// names the path and the reason.
class GrowingFile {
 public:
  explicit GrowingFile(std::string path);
  ~GrowingFile();
  GrowingFile(const GrowingFile&) = delete;
  GrowingFile& operator=(const GrowingFile&) = delete;

  void append(const void* bytes, std::size_t count);
  /// Replaces the first bytes, which are there already.
  void replace_begin(const void* bytes, std::size_t count);
  /// Where it is until it is whole, for a library that writes files by name; empty for what is no regular
  /// file.
  const std::string& temporary() const { return temporary_; }
  /// Flushed and renamed.
  void finish();

 private:
  std::string path_, target_, temporary_;
  Descriptor file_;
  std::string held_;  // of what is no regular file
};

/// Points the symlink `path` at `target` in one step (a new symlink renamed over it). Throws Error.
void point_symlink(const std::string& path, const std::string& target);

/// Removes what interrupted writes left in `directory` (*.tmp). Only the one process that writes there may
/// call it.
void remove_leftovers(const std::string& directory);

}  // namespace outerloop::store
