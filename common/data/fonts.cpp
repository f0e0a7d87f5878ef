#include "common/data/fonts.h"

#include <fontconfig/fontconfig.h>

#include <algorithm>
#include <memory>
#include <tuple>

#include "common/base/error.h"
#include "common/data/listing.h"
#include "common/data/source_files.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

const std::vector<std::string> kExtensions{".ttf", ".otf"};

bool is_wanted_extension(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(), [](unsigned char c) {
    return c < 0x80 ? static_cast<char>(c | 0x20) : static_cast<char>(c);
  });
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
}

template <typename T>
using Handle = std::unique_ptr<T, void (*)(T*)>;

void append_face(FcPattern* pattern, std::vector<FontFace>& faces) {
  FcChar8* file = nullptr;
  int index = 0;
  FcBool scalable = FcFalse;
  FcBool color = FcFalse;
  if (FcPatternGetString(pattern, FC_FILE, 0, &file) != FcResultMatch) return;
  if (FcPatternGetInteger(pattern, FC_INDEX, 0, &index) != FcResultMatch) return;
  if (FcPatternGetBool(pattern, FC_SCALABLE, 0, &scalable) != FcResultMatch || scalable == FcFalse) return;
  if (FcPatternGetBool(pattern, FC_COLOR, 0, &color) == FcResultMatch && color != FcFalse) return;
  const fs::path path(reinterpret_cast<const char*>(file));
  // The upper half of the index counts the named instances of a variable font; only the default one is used.
  // fontconfig may list a file that no longer exists.
  std::error_code ignored;
  if (is_wanted_extension(path) && fs::exists(path, ignored))
    faces.push_back({canonical_path(path), index & 0xFFFF});
}

std::vector<FontFace> fontconfig_faces() {
  const Handle<FcConfig> config(FcInitLoadConfigAndFonts(), FcConfigDestroy);
  if (!config) throw InputError("glyphs: fontconfig does not start: check its configuration in /etc/fonts");
  const Handle<FcPattern> every(FcPatternCreate(), FcPatternDestroy);
  const Handle<FcObjectSet> properties(FcObjectSetBuild(FC_FILE, FC_INDEX, FC_SCALABLE, FC_COLOR, nullptr),
                                       FcObjectSetDestroy);
  const Handle<FcFontSet> fonts(FcFontList(config.get(), every.get(), properties.get()), FcFontSetDestroy);
  std::vector<FontFace> faces;
  if (fonts)
    for (int i = 0; i < fonts->nfont; ++i) append_face(fonts->fonts[i], faces);
  return faces;
}

}  // namespace

std::vector<FontFace> find_fonts(const fs::path& folder, std::vector<std::string>* remarks) {
  std::vector<FontFace> faces;
  if (folder.empty()) {
    faces = fontconfig_faces();
  } else {
    const Listing listing = list_tree(folder, kExtensions);
    for (const fs::path& file : listing.files) faces.push_back({canonical_path(file), 0});
    const std::vector<std::string> lines = listing_remarks(listing, folder, "glyphs", ".ttf and .otf", false);
    if (remarks != nullptr) remarks->insert(remarks->end(), lines.begin(), lines.end());
  }
  const auto key = [](const FontFace& face) { return std::tie(face.file, face.index); };
  std::sort(faces.begin(), faces.end(),
            [&](const FontFace& a, const FontFace& b) { return key(a) < key(b); });
  faces.erase(std::unique(faces.begin(), faces.end(),
                          [&](const FontFace& a, const FontFace& b) { return key(a) == key(b); }),
              faces.end());
  return faces;
}

}  // namespace outerloop::data
