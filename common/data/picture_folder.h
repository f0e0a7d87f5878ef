#pragma once
// Reader of a folder of classes, as ImageNet is kept: CLASS/PICTURE.jpg, .png or .webp, at any depth below
// CLASS.
#include <cstdint>
#include <filesystem>
#include <vector>

#include "common/data/working_set.h"

namespace outerloop::data {

/// Side that pictures are packed at where no larger size is asked for.
constexpr std::int64_t kFolderSide = 32;

/// Every picture below `root`, the middle square of each resized to side × side, in grey; a class is a folder
/// right below `root`. Pictures in `root` itself belong to no class; those that are damaged or cannot be read
/// are passed over. The set's remarks say so. Throws InputError that names `root` where no picture is left,
/// or where they would take more than 16 GiB.
WorkingSet read_picture_folder(const std::filesystem::path& root,
                               const std::vector<std::filesystem::path>& files, std::int64_t side);

}  // namespace outerloop::data
