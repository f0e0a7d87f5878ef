#include "common/data/picture_folder.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include "common/base/error.h"
#include "common/data/image.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t kMostBytes = std::int64_t{1} << 34;
constexpr std::int64_t kNamed = 10;  // damaged pictures

/// The folder right below `root` that the file is in; empty where it lies in `root` itself.
std::string class_of(const fs::path& root, const fs::path& file) {
  const fs::path relative = file.lexically_relative(root);
  return relative.has_parent_path() ? relative.begin()->string() : "";
}

/// The middle square.
GreyView middle(const GreyImage& picture) {
  const std::int64_t side = std::min(picture.width, picture.height);
  const std::int64_t x = (picture.width - side) / 2;
  const std::int64_t y = (picture.height - side) / 2;
  return {picture.pixels.data() + y * picture.width + x, side, side, picture.width};
}

}  // namespace

WorkingSet read_picture_folder(const fs::path& root, const std::vector<fs::path>& files, std::int64_t side) {
  WorkingSet set;
  set.side = side;
  const std::int64_t bytes = side * side;
  if (static_cast<std::int64_t>(files.size()) > kMostBytes / bytes)
    throw InputError("folder: " + root.string() + ": " + std::to_string(files.size()) + " pictures at " +
                     std::to_string(side) + " x " + std::to_string(side) +
                     " take more than 16 GiB: take fewer or a smaller size");
  AreaResize resize(side, side);
  std::vector<std::uint8_t> small(static_cast<std::size_t>(bytes));
  std::int64_t damaged = 0;
  for (const fs::path& file : files) {
    const std::string name = class_of(root, file);
    if (name.empty()) continue;
    try {
      resize(middle(read_picture(file)), small.data());
    } catch (const InputError& error) {
      if (++damaged <= kNamed) std::fprintf(stderr, "warning: folder: passed over %s\n", error.what());
      continue;
    }
    // Files come by path, so a class's pictures come one after the other.
    if (set.class_names.empty() || set.class_names.back() != name) set.class_names.push_back(name);
    set.labels.push_back(static_cast<std::int32_t>(set.class_names.size() - 1));
    set.pixels.insert(set.pixels.end(), small.begin(), small.end());
  }
  if (damaged > kNamed)
    std::fprintf(stderr, "warning: folder: passed over %lld more damaged pictures in %s\n",
                 static_cast<long long>(damaged - kNamed), root.c_str());
  if (set.labels.empty())
    throw InputError(
        "folder: no picture in " + root.string() +
        "/CLASS/*.jpg, *.png or *.webp can be read: give a folder that holds one folder per class");
  return set;
}

}  // namespace outerloop::data
