#include "common/data/picture_folder.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "common/base/error.h"
#include "common/data/image.h"
#include "common/data/listing.h"
#include "common/data/picture_reader.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t kMostBytes = std::int64_t{1} << 34;

/// The centre square.
GreyView middle(const GreyImage& picture) {
  const std::int64_t side = std::min(picture.width, picture.height);
  const std::int64_t x = (picture.width - side) / 2;
  const std::int64_t y = (picture.height - side) / 2;
  return {picture.pixels.data() + y * picture.width + x, side, side, picture.width};
}

void begin_class(const std::string& name, WorkingSet& set) {
  set.class_names.push_back(name);
  set.ranges.push_back({255.0, 0.0});
}

void widen(const GreyView& view, ValueRange& range) {
  for (std::int64_t y = 0; y < view.height; ++y) {
    const std::uint8_t* row = view.pixels + y * view.stride;
    const auto [low, high] = std::minmax_element(row, row + view.width);
    range.low = std::min(range.low, static_cast<double>(*low));
    range.high = std::max(range.high, static_cast<double>(*high));
  }
}

/// `pictures`: number of pictures per class, "" for those in the root itself.
void say_what_is_no_class(const fs::path& root, const std::map<std::string, std::int64_t>& pictures,
                          WorkingSet& set) {
  std::vector<std::string> lines;
  for (const auto& [name, count] : pictures) {
    if (name.empty())
      set.remarks.push_back("folder: passed over " + std::to_string(count) + " of the pictures in " +
                            root.string() + ": those in no folder of their own belong to no class");
    else if (std::find(set.class_names.begin(), set.class_names.end(), name) == set.class_names.end())
      lines.push_back("folder: no class " + name + ": none of the " + std::to_string(count) +
                      " pictures in " + (root / name).string() + " can be read");
  }
  append_first_lines(lines, "folder: no picture can be read in ", "more folders of " + root.string(),
                     set.remarks);
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
  PictureReader reader("folder");
  std::map<std::string, std::int64_t> pictures;  // of each class, read or not
  for (const fs::path& file : files) {
    const std::string name = folder_below(root, file);
    ++pictures[name];
    if (name.empty()) continue;
    const std::optional<GreyImage> picture = reader.read(file);
    if (!picture) continue;
    const GreyView square = middle(*picture);
    resize(square, small.data());
    // Files are sorted by path, so the pictures of a class are adjacent.
    if (set.class_names.empty() || set.class_names.back() != name) begin_class(name, set);
    widen(square, set.ranges.back());
    set.labels.push_back(static_cast<std::int32_t>(set.class_names.size() - 1));
    set.pixels.insert(set.pixels.end(), small.begin(), small.end());
  }
  reader.finish(root, set);
  say_what_is_no_class(root, pictures, set);
  if (set.labels.empty())
    throw InputError(
        "folder: no picture in " + root.string() +
        "/CLASS/*.jpg, *.png or *.webp can be read: give a folder that holds one folder per class" +
        (reader.first_reason().empty() ? "" : " (" + reader.first_reason() + ")"));
  return set;
}

}  // namespace outerloop::data
