#pragma once
// Font files and faces, found by fontconfig or in a folder.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace outerloop::data {

struct FontFace {
  std::filesystem::path file;
  std::int64_t index = 0;  ///< of the face in its file
};

/// Faces of .ttf and .otf files, sorted by path and index, without duplicates. If `folder` is empty they are
/// those known to fontconfig, else those at any depth below `folder` (the first face of each file). Bitmap
/// and colour faces are left out. Other files below `folder` are reported in `remarks`, if given. Throws
/// InputError where `folder` is not a folder or fontconfig does not start.
std::vector<FontFace> find_fonts(const std::filesystem::path& folder,
                                 std::vector<std::string>* remarks = nullptr);

}  // namespace outerloop::data
