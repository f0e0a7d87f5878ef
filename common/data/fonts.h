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

/// Faces of .ttf and .otf files, sorted by path and index, each once: those that fontconfig knows where
/// `folder` is empty, else those at any depth below `folder` (one face per file: the first). Bitmap and
/// colour faces are left out. What else lies below `folder` is added to `remarks`, if given. Throws
/// InputError where `folder` is no folder or fontconfig does not start.
std::vector<FontFace> find_fonts(const std::filesystem::path& folder,
                                 std::vector<std::string>* remarks = nullptr);

}  // namespace outerloop::data
