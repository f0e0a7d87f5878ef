#include "common/data/glyphs.h"

#include <ft2build.h>
#include FT_FREETYPE_H
#include FT_BBOX_H
#include FT_OUTLINE_H
#include FT_TRUETYPE_TABLES_H

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <set>
#include <type_traits>

#include "common/base/error.h"
#include "common/data/listing.h"
#include "common/data/source_files.h"

namespace outerloop::data {
namespace {

constexpr std::size_t kPixels = static_cast<std::size_t>(kWorkingSide * kWorkingSide);
constexpr std::size_t kFewestClasses = 10;
constexpr std::uint64_t kMaxFontBytes = std::uint64_t{1} << 27;
constexpr int kPanoseLatinSymbol = 5;
constexpr int kFamilyClassSymbolic = 12;

using Library = std::unique_ptr<std::remove_pointer_t<FT_Library>, FT_Error (*)(FT_Library)>;
using Face = std::unique_ptr<std::remove_pointer_t<FT_Face>, FT_Error (*)(FT_Face)>;

Library open_library() {
  FT_Library library = nullptr;
  if (FT_Init_FreeType(&library) != 0) throw Error("glyphs: FreeType does not start: check its installation");
  return Library(library, FT_Done_FreeType);
}

/// Null if the bytes are not a usable text face.
Face open_face(FT_Library library, const std::vector<std::uint8_t>& bytes, std::int64_t index) {
  FT_Face face = nullptr;
  if (FT_New_Memory_Face(library, bytes.data(), static_cast<FT_Long>(bytes.size()),
                         static_cast<FT_Long>(index), &face) != 0)
    return Face(nullptr, FT_Done_Face);
  Face owned(face, FT_Done_Face);
  const bool text =
      FT_IS_SCALABLE(face) && !FT_HAS_COLOR(face) && FT_Select_Charmap(face, FT_ENCODING_UNICODE) == 0;
  if (!text) return Face(nullptr, FT_Done_Face);
  const auto* os2 = static_cast<const TT_OS2*>(FT_Get_Sfnt_Table(face, FT_SFNT_OS2));
  if (os2 != nullptr &&
      (os2->panose[0] == kPanoseLatinSymbol || os2->sFamilyClass >> 8 == kFamilyClassSymbolic))
    return Face(nullptr, FT_Done_Face);
  return owned;
}

/// Renders the outline, fitted to the box in the middle of the image. Empty if there is nothing to draw.
std::vector<std::uint8_t> render(FT_Library library, FT_Face face, FT_UInt glyph) {
  if (FT_Load_Glyph(face, glyph, FT_LOAD_NO_SCALE | FT_LOAD_NO_BITMAP) != 0) return {};
  if (face->glyph->format != FT_GLYPH_FORMAT_OUTLINE) return {};
  FT_Outline* outline = &face->glyph->outline;
  FT_BBox box;
  if (outline->n_points == 0 || FT_Outline_Get_BBox(outline, &box) != 0) return {};
  const FT_Pos extent = std::max(box.xMax - box.xMin, box.yMax - box.yMin);
  if (extent <= 0 || extent > 65535) return {};
  // Font units to 26.6 pixels: at most 2^16 units, so the box keeps 1/64 of a pixel.
  const FT_Fixed scale = FT_DivFix(kGlyphBox * 64, extent);
  const FT_Matrix matrix{scale, 0, 0, scale};
  FT_Outline_Transform(outline, &matrix);
  if (FT_Outline_Get_BBox(outline, &box) != 0) return {};
  const FT_Pos middle = kWorkingSide * 32;
  FT_Outline_Translate(outline, middle - (box.xMin + box.xMax) / 2, middle - (box.yMin + box.yMax) / 2);

  std::vector<std::uint8_t> pixels(kPixels);
  FT_Bitmap bitmap{};
  bitmap.rows = static_cast<unsigned int>(kWorkingSide);
  bitmap.width = static_cast<unsigned int>(kWorkingSide);
  bitmap.pitch = static_cast<int>(kWorkingSide);
  bitmap.buffer = pixels.data();
  bitmap.num_grays = 256;
  bitmap.pixel_mode = FT_PIXEL_MODE_GRAY;
  if (FT_Outline_Get_Bitmap(library, outline, &bitmap) != 0) return {};
  return pixels;
}

std::int64_t ink(const std::vector<std::uint8_t>& pixels) {
  return std::accumulate(pixels.begin(), pixels.end(), std::int64_t{0});
}

/// Σ|a − b|
std::int64_t difference(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
  int sum = 0;  // at most 784 · 255
  for (std::size_t i = 0; i < kPixels; ++i) sum += std::abs(int{a[i]} - int{b[i]});
  return sum;
}

std::vector<Glyph> render_bytes(FT_Library library, const std::vector<std::uint8_t>& bytes,
                                const FontFace& face, const std::vector<Character>& wanted) {
  const Face open = open_face(library, bytes, face.index);
  if (!open) return {};
  const std::vector<std::uint8_t> missing = render(library, open.get(), 0);
  std::vector<Glyph> glyphs;
  for (const Character& character : wanted) {
    const FT_UInt index = FT_Get_Char_Index(open.get(), character.code_point);
    if (index == 0) continue;
    Glyph glyph{character, render(library, open.get(), index)};
    if (!glyph.pixels.empty() && glyph.pixels != missing && ink(glyph.pixels) > 0)
      glyphs.push_back(std::move(glyph));
  }
  return glyphs;
}

/// Removes glyphs that look like an earlier one of another class.
std::vector<Glyph> without_doubles(std::vector<Glyph> glyphs) {
  std::vector<Glyph> kept;
  std::vector<std::int64_t> kept_ink;
  for (Glyph& glyph : glyphs) {
    const std::int64_t own = ink(glyph.pixels);
    bool alike = false;
    for (std::size_t i = 0; i < kept.size() && !alike; ++i) {
      if (kept[i].character.label == glyph.character.label) continue;
      const double limit = kSameDrawing * static_cast<double>(own + kept_ink[i]);
      // A cheap lower bound of the difference: that of the ink, which is already known.
      if (static_cast<double>(std::abs(own - kept_ink[i])) >= limit) continue;
      alike = static_cast<double>(difference(glyph.pixels, kept[i].pixels)) < limit;
    }
    if (alike) continue;
    kept.push_back(std::move(glyph));
    kept_ink.push_back(own);
  }
  return kept;
}

}  // namespace

std::vector<Glyph> render_face(const FontFace& face, const std::vector<Character>& wanted) {
  return render_bytes(open_library().get(), read_file(face.file, kMaxFontBytes), face, wanted);
}

WorkingSet render_glyphs(const std::vector<FontFace>& faces) {
  const Library library = open_library();
  const std::vector<Character> wanted = characters();
  WorkingSet set;
  set.side = kWorkingSide;
  set.class_names = character_classes();
  std::vector<std::string> passed_over;
  for (const FontFace& face : faces) {
    std::vector<std::uint8_t> bytes;
    try {
      bytes = read_file(face.file, kMaxFontBytes);
    } catch (const InputError& error) {
      set.complete = set.complete && dynamic_cast<const UnreadableFile*>(&error) == nullptr;
      passed_over.push_back(std::string("glyphs: passed over ") + error.what());
      continue;
    }
    const std::vector<Glyph> glyphs = without_doubles(render_bytes(library.get(), bytes, face, wanted));
    std::set<std::int32_t> classes;
    for (const Glyph& glyph : glyphs) classes.insert(glyph.character.label);
    if (classes.size() < kFewestClasses) continue;
    for (const Glyph& glyph : glyphs) {
      set.labels.push_back(glyph.character.label);
      set.pixels.insert(set.pixels.end(), glyph.pixels.begin(), glyph.pixels.end());
    }
  }
  append_first_lines(passed_over, "glyphs: passed over ", "more font files", set.remarks);
  return set;
}

std::string glyphs_recipe() {
  int major = 0;
  int minor = 0;
  int patch = 0;
  FT_Library_Version(open_library().get(), &major, &minor, &patch);
  std::string recipe = "FreeType " + std::to_string(major) + "." + std::to_string(minor) + "." +
                       std::to_string(patch) + ", box " + std::to_string(kGlyphBox) + " of " +
                       std::to_string(kWorkingSide) + ", same drawing " + std::to_string(kSameDrawing) +
                       ", classes";
  for (const Character& character : characters())
    recipe += " " + std::to_string(static_cast<std::uint32_t>(character.code_point)) + ":" +
              std::to_string(character.label);
  return recipe;
}

}  // namespace outerloop::data
