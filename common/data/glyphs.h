#pragma once
// Rendering of glyphs by FreeType as a dataset: a class is a character, an example is a font face.
#include <cstdint>
#include <string>
#include <vector>

#include "common/data/characters.h"
#include "common/data/fonts.h"
#include "common/data/working_set.h"

namespace outerloop::data {

/// Side of the box that every glyph is fitted to, keeping its aspect ratio, in the middle of the image, as in
/// MNIST.
constexpr std::int64_t kGlyphBox = 20;

/// Two images of a face count as the same drawing if they differ by less than this share of their ink:
/// Σ|a − b| / (Σa + Σb).
constexpr double kSameDrawing = 0.03;

/// One rendered glyph.
struct Glyph {
  Character character;
  std::vector<std::uint8_t> pixels;  ///< [28, 28], white on black, anti-aliased
};

/// The face's glyphs for `wanted`, in that order, without hinting. Characters that it lacks or draws as
/// nothing or as .notdef are left out. Symbol and bitmap faces, and files that FreeType cannot parse, give
/// none. Throws InputError where the file cannot be read.
std::vector<Glyph> render_face(const FontFace& face, const std::vector<Character>& wanted);

/// Every face's glyphs, in the order of `faces`, then of code points. Left out: a glyph that looks like an
/// earlier one of the same face but another class (small capitals, I and l of sans-serif faces), since its
/// label would be wrong; faces with fewer than ten classes (symbols, boxes). Files that cannot be read are
/// skipped and listed in the set's remarks. Classes without an example keep their label.
WorkingSet render_glyphs(const std::vector<FontFace>& faces);

/// Everything other than the font files that affects the result (versions and constants), for the cache's
/// key.
std::string glyphs_recipe();

}  // namespace outerloop::data
