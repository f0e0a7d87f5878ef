#include "tests/store/lacking_file_system.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace outerloop::tests {

LackingFileSystem* LackingFileSystem::present = nullptr;

namespace {

/// Sets errno; returns whether the call must fail.
bool refused(int LackingFileSystem::*which) {
  const LackingFileSystem* lacking = LackingFileSystem::present;
  if (lacking == nullptr || lacking->*which == 0) return false;
  errno = lacking->*which;
  return true;
}

}  // namespace
}  // namespace outerloop::tests

using outerloop::tests::LackingFileSystem;
using outerloop::tests::refused;

extern "C" {

int symlink(const char* target, const char* path) noexcept {
  if (refused(&LackingFileSystem::symlink)) return -1;
  return static_cast<int>(syscall(SYS_symlinkat, target, AT_FDCWD, path));
}

int fsync(int descriptor) {
  struct stat status {};
  const bool folder = fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode);
  if (refused(folder ? &LackingFileSystem::flush_folder : &LackingFileSystem::flush_file)) return -1;
  return static_cast<int>(syscall(SYS_fsync, descriptor));
}

int rename(const char* from, const char* to) noexcept {
  struct stat status {};
  if (lstat(to, &status) == 0 && refused(&LackingFileSystem::rename_over)) return -1;
  return static_cast<int>(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

ssize_t read(int descriptor, void* bytes, size_t count) {
  if (refused(&LackingFileSystem::read)) return -1;
  return syscall(SYS_read, descriptor, bytes, count);
}

}  // extern "C"
