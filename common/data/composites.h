#pragma once
// Composite images: a textured shape in front of a background, made of glyphs and crops.
// A class is a shape (a character, thickened and stretched), a surface (a photograph inside the shape), a
// background and a shading; an example is another font's drawing of the character, another crop of the
// photograph, and small changes of pose and light. Composites fill the gap in the task distribution between
// glyphs (shapes without surfaces) and crops (surfaces without shapes).
#include <cstdint>
#include <string>

#include "common/data/working_set.h"

namespace outerloop::data {

constexpr std::int64_t kCompositeClasses = 400;
constexpr std::int64_t kExamplesPerComposite = 60;

/// Composites of glyphs and crops of kWorkingSide pixels. Only training characters and photographs of the
/// class split are used (class_split.h), so that held-out ones stay unseen however the composites are used;
/// characters with fewer than 10 drawings are skipped. A class is named by its number, character and
/// photograph. The result is a deterministic function of the two sets. Throws InputError where no character
/// or no photograph is left.
WorkingSet compose(const WorkingSet& glyphs, const WorkingSet& crops);

/// Everything other than the two sets that affects the result (versions and constants), for the cache's key.
std::string composites_recipe();

}  // namespace outerloop::data
