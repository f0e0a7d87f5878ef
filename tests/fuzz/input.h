#pragma once
// What the fuzz targets share: a reader that takes values off the front of the input, and a file that lives
// in memory.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace outerloop::tests {

/// Takes numbers and texts off the front of some bytes; zeros and shorter texts once they are used up.
class FuzzInput {
 public:
  FuzzInput(const std::uint8_t* bytes, std::size_t count) : next_(bytes), left_(count) {}

  bool empty() const { return left_ == 0; }

  template <class Number>
  Number number() {
    Number value = 0;
    const std::size_t count = std::min(left_, sizeof value);
    if (count > 0) std::memcpy(&value, next_, count);  // no bytes may come as a null pointer
    skip(count);
    return value;
  }

  std::string text(std::size_t count) {
    count = std::min(left_, count);
    std::string value(reinterpret_cast<const char*>(next_), count);
    skip(count);
    return value;
  }

  std::string rest() { return text(left_); }

 private:
  void skip(std::size_t count) {
    next_ += count;
    left_ -= count;
  }

  const std::uint8_t* next_;
  std::size_t left_;
};

/// A regular file in memory that has a path.
class MemoryFile {
 public:
  MemoryFile() : file_(memfd_create("fuzz", MFD_CLOEXEC)) {
    if (file_ < 0) std::abort();
    path_ = "/proc/self/fd/" + std::to_string(file_);
  }
  ~MemoryFile() { close(file_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  void write(const void* bytes, std::size_t count) {
    const bool written =
        ftruncate(file_, 0) == 0 && pwrite(file_, bytes, count, 0) == static_cast<ssize_t>(count);
    if (!written) std::abort();
  }

  const std::string& path() const { return path_; }

 private:
  int file_;
  std::string path_;
};

/// What the parsers promise of accepted input; the fuzzer stops where it does not hold.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

}  // namespace outerloop::tests

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count);
