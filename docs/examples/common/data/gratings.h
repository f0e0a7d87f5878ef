#pragma once
// Gratings: waves of grey that run in one direction, which is the class. The example of docs/extending.md.
#include "common/data/working_set.h"

namespace outerloop::data {

constexpr std::int64_t kGratingDirections = 36;
constexpr std::int64_t kGratingsPerDirection = 100;

/// Images of 28 × 28; class k runs at 5 k degrees. Wavelength (4 to 14 pixels), phase, contrast and noise
/// are drawn for each image. The same images on every machine.
WorkingSet make_gratings();

}  // namespace outerloop::data
