#include "common/data/listing.h"

#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <system_error>
#include <utility>

#include "common/base/error.h"
#include "common/data/source_files.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kNamed = 10;

/// Device and inode: identify a folder independently of the path to it.
using Identity = std::pair<dev_t, ino_t>;

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

/// Traverses one tree.
class Walk {
 public:
  Walk(const fs::path& root, const std::vector<std::string>& extensions)
      : root_(root), extensions_(extensions) {
    fs::path above = canonical_path(root);
    add_above(above);
    for (; above.has_relative_path(); above = above.parent_path()) add_above(above.parent_path());
  }

  Listing walk() {
    std::error_code error;
    const std::vector<fs::directory_entry> entries = entries_of(root_, error);
    if (error)
      throw InputError(root_.string() + ": the folder cannot be read (" + error.message() +
                       "): check its permissions");
    for (const fs::directory_entry& entry : entries) {
      top_ = entry.path().filename().string();
      seen_.clear();
      visit(entry, true);
      follow_links();
    }
    std::sort(found_.files.begin(), found_.files.end());
    std::sort(found_.unreadable.begin(), found_.unreadable.end());
    return std::move(found_);
  }

 private:
  void add_above(const fs::path& folder) {
    struct stat status {};
    if (::stat(folder.c_str(), &status) == 0) above_.emplace(status.st_dev, status.st_ino);
  }

  void unreadable(const fs::path& path, const std::string& reason) {
    found_.unreadable.push_back(path.string() + " (" + reason + ")");
  }

  /// Entries without clutter, sorted by name: the order of directory entries differs between hosts.
  static std::vector<fs::directory_entry> entries_of(const fs::path& folder, std::error_code& error) {
    std::vector<fs::directory_entry> entries;
    fs::directory_iterator entry(folder, error);
    for (; !error && entry != fs::directory_iterator(); entry.increment(error))
      if (!is_clutter(entry->path().filename().string())) entries.push_back(*entry);
    std::sort(entries.begin(), entries.end());
    return entries;
  }

  void visit(const fs::directory_entry& entry, bool at_top) {
    const fs::path& path = entry.path();
    const std::string folder = at_top ? "" : top_;
    std::error_code ignored;
    const bool link = entry.is_symlink(ignored);
    if (!link && entry.is_directory(ignored)) {
      if (at_top) found_.folders.push_back(top_);
      return enter(path);
    }
    if (!link && entry.is_regular_file(ignored)) return add_file(path, true, folder);
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0)
      return unreadable(
          path, link && errno == ENOENT ? "a link to nothing" : std::generic_category().message(errno));
    if (S_ISDIR(status.st_mode)) {
      if (at_top) found_.folders.push_back(top_);
      return links_.push_back(path);
    }
    add_file(path, S_ISREG(status.st_mode), folder);
  }

  void add_file(const fs::path& path, bool regular, const std::string& folder) {
    const std::string extension = lower(path.extension().string());
    if (!extensions_.empty() &&
        std::find(extensions_.begin(), extensions_.end(), extension) == extensions_.end())
      ++found_.others[folder][extension];
    else if (regular)
      found_.files.push_back(path);
    else
      unreadable(path, "no regular file");
  }

  void enter(const fs::path& folder) {
    struct stat status {};
    if (::stat(folder.c_str(), &status) != 0)
      return unreadable(folder, std::generic_category().message(errno));
    if (!seen_.emplace(status.st_dev, status.st_ino).second) return;
    std::error_code error;
    for (const fs::directory_entry& entry : entries_of(folder, error)) visit(entry, false);
    if (error) unreadable(folder, error.message());
  }

  /// Links to folders come last, so that a folder inside the tree is read under its own path.
  void follow_links() {
    while (!links_.empty()) {
      std::vector<fs::path> links;
      links.swap(links_);
      std::sort(links.begin(), links.end());
      for (const fs::path& link : links) follow(link);
    }
  }

  void follow(const fs::path& link) {
    struct stat status {};
    if (::stat(link.c_str(), &status) != 0) return unreadable(link, std::generic_category().message(errno));
    const Identity target{status.st_dev, status.st_ino};
    if (above_.count(target) != 0 || seen_.count(target) != 0) return found_.circles.push_back(link);
    found_.linked.insert(canonical_path(link));
    enter(link);
  }

  fs::path root_;
  std::vector<std::string> extensions_;
  std::set<Identity> above_;     // the root and its parent folders
  std::set<Identity> seen_;      // below the current folder of the root
  std::vector<fs::path> links_;  // to folders, not yet followed
  std::string top_;              // the current folder of the root
  Listing found_;
};

/// "folder: passed over 12 .bmp files in p/b: read are ..."
std::string format_line(const std::string& extension, std::int64_t count, const fs::path& folder,
                        const std::string& dataset, const std::string& formats) {
  const std::string files = count == 1 ? "file" : "files";
  return dataset + ": passed over " + std::to_string(count) + " " +
         (extension.empty() ? files + " without an extension" : extension + " " + files) + " in " +
         folder.string() + ": read are " + formats;
}

std::vector<std::string> empty_classes(const Listing& listing, const fs::path& root,
                                       const std::string& dataset) {
  std::set<std::string> with_files;
  for (const fs::path& file : listing.files) with_files.insert(folder_below(root, file));
  std::vector<std::string> lines;
  for (const std::string& name : listing.folders)
    if (with_files.count(name) == 0)
      lines.push_back(dataset + ": no class " + name + ": " + (root / name).string() +
                      " holds no picture that can be read");
  return lines;
}

}  // namespace

bool is_clutter(const std::string& name) {
  static const std::set<std::string> known{
      "__macosx", "thumbs.db",   "ehthumbs.db", "desktop.ini",
      "@eadir",   "#recycle",    "lost+found",  "system volume information",
      "icon\r",   "$recycle.bin"};
  return name.empty() || name[0] == '.' || known.count(lower(name)) != 0;
}

Listing list_tree(const fs::path& root, const std::vector<std::string>& extensions) {
  std::error_code error;
  if (!fs::is_directory(root, error)) throw InputError(root.string() + ": no such folder: check the path");
  return Walk(root, extensions).walk();
}

std::vector<fs::path> list_files(const fs::path& root, const std::vector<std::string>& extensions) {
  Listing listing = list_tree(root, extensions);
  if (!listing.unreadable.empty())
    throw InputError(listing.unreadable.front() + ": cannot be read: check its permissions");
  return std::move(listing.files);
}

std::string folder_below(const fs::path& root, const fs::path& file) {
  const fs::path relative = file.lexically_relative(root);
  return relative.has_parent_path() ? relative.begin()->string() : "";
}

void append_first_lines(const std::vector<std::string>& lines, const std::string& begin,
                        const std::string& end, std::vector<std::string>& to) {
  to.insert(to.end(), lines.begin(),
            lines.begin() + static_cast<std::ptrdiff_t>(std::min(kNamed, lines.size())));
  if (lines.size() > kNamed) to.push_back(begin + std::to_string(lines.size() - kNamed) + " " + end);
}

std::string other_formats(const Listing& listing) {
  std::map<std::string, std::int64_t> counts;
  for (const auto& [folder, kinds] : listing.others)
    for (const auto& [extension, count] : kinds) counts[extension] += count;
  std::string text;
  for (const auto& [extension, count] : counts)
    text += (text.empty() ? "" : ", ") + std::to_string(count) + " " +
            (extension.empty() ? "without an extension" : extension);
  return text;
}

std::vector<std::string> listing_remarks(const Listing& listing, const fs::path& root,
                                         const std::string& dataset, const std::string& formats,
                                         bool classes) {
  std::vector<std::string> remarks, lines;
  for (const auto& [folder, kinds] : listing.others)
    for (const auto& [extension, count] : kinds)
      lines.push_back(format_line(extension, count, folder.empty() ? root : root / folder, dataset, formats));
  append_first_lines(lines, dataset + ": other formats were passed over ", "times more in " + root.string(),
                     remarks);
  if (classes)
    append_first_lines(empty_classes(listing, root, dataset), dataset + ": no pictures in ",
                       "more folders of " + root.string(), remarks);
  lines.clear();
  for (const std::string& place : listing.unreadable)
    lines.push_back(dataset + ": passed over " + place + ", which cannot be read");
  append_first_lines(lines, dataset + ": passed over ", "more that cannot be read in " + root.string(),
                     remarks);
  lines.clear();
  for (const fs::path& link : listing.circles)
    lines.push_back(dataset + ": the link " + link.string() +
                    " is not followed: it leads to a folder that was already read, or that contains it");
  append_first_lines(lines, dataset + ": not followed are ", "more links in " + root.string(), remarks);
  return remarks;
}

}  // namespace outerloop::data
