#pragma once
// The files of a cache folder that several users may share: which of them are trusted, under which name one's
// own are written, and who may read them.
#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace outerloop::data {

/// A folder of caches, as the user `self` sees it.
///
/// Where only its owner and its group may write, all files in it are trusted, and one's own are readable for
/// the group of a folder that the group may write. Where everybody may write, a file is trusted that belongs
/// to oneself or to root, since what is cached becomes data. A file that cannot be replaced, or is a
/// stranger's, stays: one's own then stands beside it under another name, FILE.UID.
class CacheFolder {
 public:
  explicit CacheFolder(std::filesystem::path directory);
  CacheFolder(std::filesystem::path directory, uid_t self);

  /// Names under which `name` may be cached, the one to be tried first in front.
  std::vector<std::filesystem::path> candidates(const std::string& name) const;

  /// Every byte of a file of this folder; empty where there is none that is trusted. Throws InputError where
  /// it cannot be read, is empty or has more than `limit` bytes.
  std::vector<std::uint8_t> read(const std::filesystem::path& file, std::uint64_t limit) const;

  /// Writes beside the file and renames, so that a reader sees the old file or the new one; the folder is
  /// made. Several writers at once do no harm: the last one stays. Modes and groups are set where the file
  /// system knows them. Returns a line for the user where it cannot flush files, else "". Throws Error where
  /// nothing can be written, or what was written would not be trusted.
  std::string write(const std::string& name, const std::vector<std::uint8_t>& bytes) const;

 private:
  bool is_open() const;  ///< everybody may write
  bool trusted(const std::filesystem::path& file) const;
  bool trusted(const struct stat& status) const;
  std::filesystem::path own(const std::string& name) const;

  std::filesystem::path directory_;
  uid_t self_;
};

}  // namespace outerloop::data
