#pragma once
// Reader of a folder of picture classes in ImageNet's layout: CLASS/PICTURE.jpg, .png or .webp, at any depth
// below CLASS.
#include <cstdint>
#include <filesystem>
#include <vector>

#include "common/data/working_set.h"

namespace outerloop::data {

/// Side of stored pictures, unless a larger size is requested.
constexpr std::int64_t kFolderSide = 32;

/// Every picture below `root`: its centre square, resized to side × side, in grey. A class is a folder
/// directly below `root`. Pictures in `root` itself belong to no class; those and pictures that are damaged
/// or cannot be read are skipped and listed in the set's remarks. Throws InputError that names `root` where
/// no picture is left, or where they would take more than 16 GiB.
WorkingSet read_picture_folder(const std::filesystem::path& root,
                               const std::vector<std::filesystem::path>& files, std::int64_t side);

}  // namespace outerloop::data
