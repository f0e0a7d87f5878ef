#pragma once
// Cache folder that several users may share: which files are trusted, under which name a user writes, and who
// may read the files.
#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace outerloop::data {

/// A cache folder from the point of view of the user `self`.
///
/// If only owner and group may write to the folder, all of its files are trusted. New files are readable by
/// the group if the group may write to the folder. If everybody may write to it, only files of the user and
/// of root are trusted, since cached files become data. A file that cannot be replaced, or belongs to a
/// stranger, stays; the user's own is then stored next to it under another name, FILE.UID.
class CacheFolder {
 public:
  explicit CacheFolder(std::filesystem::path directory);
  CacheFolder(std::filesystem::path directory, uid_t self);

  /// Names under which `name` may be cached, in the order in which to try them.
  std::vector<std::filesystem::path> candidates(const std::string& name) const;

  /// Every byte of a file in this folder; empty if there is no trusted one. Throws InputError where it cannot
  /// be read, is empty or has more than `limit` bytes.
  std::vector<std::uint8_t> read(const std::filesystem::path& file, std::uint64_t limit) const;

  /// Writes a temporary file and renames it, so that a reader sees either the old file or the new one;
  /// creates the folder. Concurrent writers are safe: the last one wins. Modes and groups are set if the file
  /// system supports them. Returns a message for the user if it cannot flush files, else "". Throws Error
  /// where nothing can be written, or the result would not be trusted.
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
