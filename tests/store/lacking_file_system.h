#pragma once
// Simulates a file system that lacks a call: the test executable's own symlink(), fsync() and rename()
// override those of the C library, and fail as a test requests.

namespace outerloop::tests {

/// 0: the system's behaviour; else the errno of every call during the object's lifetime.
struct LackingFileSystem {
  LackingFileSystem() { present = this; }
  ~LackingFileSystem() { present = nullptr; }
  LackingFileSystem(const LackingFileSystem&) = delete;
  LackingFileSystem& operator=(const LackingFileSystem&) = delete;

  int symlink = 0;
  int flush_folder = 0;
  int flush_file = 0;
  int rename_over = 0;  ///< onto an existing name
  int read = 0;         ///< of any open file

  static LackingFileSystem* present;
};

}  // namespace outerloop::tests
