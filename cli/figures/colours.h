#pragma once
// Distinct colours for the curves of one chart.
#include <vector>

#include "cli/figures/canvas.h"

namespace outerloop::cli {

/// Shade 0 is `colour`; 1, 2, … are darker and lighter ones in turn, each further away than the one before.
Colour shade(const Colour& colour, int number);

/// `wished`, with no colour twice: the first curve that wishes a colour has it, further ones have shades of
/// it. Transparency does not count. Holds for at least eight curves of one hue.
std::vector<Colour> distinct_colours(const std::vector<Colour>& wished);

}  // namespace outerloop::cli
