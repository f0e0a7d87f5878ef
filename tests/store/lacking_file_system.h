#pragma once
// A file system that lacks something: the test executable's own symlink(), fsync() and rename() stand before
// those of the C library, and refuse what a test wants refused.

namespace outerloop::tests {

/// 0: as the system has it; else the errno of every call while this lives.
struct LackingFileSystem {
  LackingFileSystem() { present = this; }
  ~LackingFileSystem() { present = nullptr; }
  LackingFileSystem(const LackingFileSystem&) = delete;
  LackingFileSystem& operator=(const LackingFileSystem&) = delete;

  int symlink = 0;
  int flush_folder = 0;
  int flush_file = 0;
  int rename_over = 0;  ///< onto a name that is taken
  int read = 0;         ///< of any open file

  static LackingFileSystem* present;
};

}  // namespace outerloop::tests
