#pragma once
// The two-moons dataset: two interlocking half circles in the plane, as in the paper's Figure 6.
#include "common/data/request.h"
#include "common/data/working_set.h"

namespace outerloop::data {

/// Points per part, half of them in each class.
constexpr std::int64_t kMoonPoints = 2000;
/// Standard deviation of both coordinates, in radii of a moon.
constexpr double kMoonNoise = 0.1;

/// Vectors of two numbers: upper half of the circle around (0, 0), lower half of that around (1, 1/2), both
/// of radius 1, with normal noise; -1.5 .. 2.5 by -1.25 .. 1.75 stands for 0 .. 1. The score is the position
/// along the moon, -1 .. 1. The parts share no point. The same points on every machine.
WorkingSet make_two_moons(Part part);

}  // namespace outerloop::data
