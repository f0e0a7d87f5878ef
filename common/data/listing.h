#pragma once
// The files below a folder, in a fixed order, and what else lies there: other formats, what cannot be read,
// links that lead in a circle.
#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace outerloop::data {

/// True for what file managers, editors and file systems leave in folders: names that begin with a dot,
/// __MACOSX, Thumbs.db, desktop.ini, lost+found and their like. No list of files holds such entries.
bool is_clutter(const std::string& name);

/// What list_tree finds. Folders right below the root are named by their names, the root itself by "".
struct Listing {
  std::vector<std::filesystem::path> files;  ///< regular files of a wanted extension, sorted by path
  std::vector<std::string> folders;          ///< right below the root, sorted
  /// Files of other formats: [folder right below the root][extension in lower case, or "" without one].
  std::map<std::string, std::map<std::string, std::int64_t>> others;
  std::vector<std::string> unreadable;         ///< "PATH (reason)", sorted
  std::vector<std::filesystem::path> circles;  ///< links to a folder that is read already, not followed
  std::set<std::filesystem::path> linked;      ///< folders that links lead to, by their canonical paths
};

/// Everything at any depth below `root`, but for clutter. `extensions` are in lower case with their dot;
/// without any, every file is wanted.
/// Links to files and to folders are followed, but never to a folder above, and to no folder twice below one
/// folder of the root: so a circle of links ends. Throws InputError where `root` is no folder or cannot be
/// read.
Listing list_tree(const std::filesystem::path& root, const std::vector<std::string>& extensions);

/// The files alone. Throws InputError where a folder or a file cannot be looked at.
std::vector<std::filesystem::path> list_files(const std::filesystem::path& root,
                                              const std::vector<std::string>& extensions);

/// One line for each folder and format that was passed over, and for what cannot be read, the first ten of
/// each, then their number. `dataset` begins each line, `formats` are those that it reads. With `classes`,
/// where each folder below the root is a class, those without any file are named too.
std::vector<std::string> listing_remarks(const Listing& listing, const std::filesystem::path& root,
                                         const std::string& dataset, const std::string& formats,
                                         bool classes);

/// "12 .bmp, 3 .tif": formats in the whole tree that were passed over; empty where there are none.
std::string other_formats(const Listing& listing);

/// Appends the first ten lines, and where there are more, "`begin`N `end`".
void append_first_lines(const std::vector<std::string>& lines, const std::string& begin,
                        const std::string& end, std::vector<std::string>& to);

/// The folder right below `root` that the file is in; empty where it lies in `root` itself.
std::string folder_below(const std::filesystem::path& root, const std::filesystem::path& file);

}  // namespace outerloop::data
