#pragma once
// Recursive list of the files below a folder, in a fixed order. Also reports other formats, unreadable
// entries and cycles of links.
#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace outerloop::data {

/// True for files that file managers, editors and file systems leave in folders: names that begin with a dot,
/// __MACOSX, Thumbs.db, desktop.ini, lost+found and similar. Such entries are never listed.
bool is_clutter(const std::string& name);

/// Result of list_tree. Folders directly below the root are identified by their names, the root itself by "".
struct Listing {
  std::vector<std::filesystem::path> files;  ///< regular files of a wanted extension, sorted by path
  std::vector<std::string> folders;          ///< directly below the root, sorted
  /// Files of other formats: [folder directly below the root][extension in lower case, or "" without one].
  std::map<std::string, std::map<std::string, std::int64_t>> others;
  std::vector<std::string> unreadable;         ///< "PATH (reason)", sorted
  std::vector<std::filesystem::path> circles;  ///< links to a folder that is already read, not followed
  std::set<std::filesystem::path> linked;      ///< folders that links lead to, by their canonical paths
};

/// All files at any depth below `root`, except clutter. `extensions` are in lower case with their dot; an
/// empty list means all files.
/// Links to files and folders are followed, but never to a parent folder, and never twice to the same folder
/// within one folder of the root, so a cycle of links ends. Throws InputError where `root` is not a folder or
/// cannot be read.
Listing list_tree(const std::filesystem::path& root, const std::vector<std::string>& extensions);

/// The files alone. Throws InputError where a folder or a file cannot be read.
std::vector<std::filesystem::path> list_files(const std::filesystem::path& root,
                                              const std::vector<std::string>& extensions);

/// One line for each skipped folder and format, and for each unreadable entry: the first ten of each kind,
/// then their number. `dataset` begins each line, `formats` lists the formats that it reads. With `classes`
/// (each folder below the root is a class), folders without any file are listed too.
std::vector<std::string> listing_remarks(const Listing& listing, const std::filesystem::path& root,
                                         const std::string& dataset, const std::string& formats,
                                         bool classes);

/// "12 .bmp, 3 .tif": formats in the whole tree that were skipped; empty if there are none.
std::string other_formats(const Listing& listing);

/// Appends the first ten lines and, if there are more, "`begin`N `end`".
void append_first_lines(const std::vector<std::string>& lines, const std::string& begin,
                        const std::string& end, std::vector<std::string>& to);

/// The folder directly below `root` that contains the file; empty if the file is in `root` itself.
std::string folder_below(const std::filesystem::path& root, const std::filesystem::path& file);

}  // namespace outerloop::data
