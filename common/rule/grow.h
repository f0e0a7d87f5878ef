#pragma once
// A larger rule that starts out as a trained smaller one.
#include <optional>
#include <vector>

#include "common/rule/layout.h"

namespace outerloop::rule {

/// θ of a rule with more hidden channels (C) or output units (N_L) than the trained one. Empty if the layouts
/// differ in anything else, or if N_L is no multiple.
///
/// Channels: the old ones compute what they computed before, because their weights on new channels are zero.
/// New channels read all others, with the weights of `drawn`. Output units: blocks of as many units as the
/// trained rule has. The units of a block mix (top.mix) only among themselves, with the trained weights;
/// weights between blocks are zero.
/// @param from   the trained rule's layout, with `theta`
/// @param to     the larger rule's layout, with its initial values `drawn`
std::optional<std::vector<double>> grow_theta(const Layout& from, const std::vector<double>& theta,
                                              const Layout& to, std::vector<double> drawn);

}  // namespace outerloop::rule
