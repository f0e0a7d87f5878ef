#pragma once
// Oja's rule with coefficients that are meta-learned: the layouts of its θ and φ. The example of
// docs/extending.md.
//
//     ΔW^l = hebb · x^{l-1} (x^l)ᵀ / B + decorrelation · W^l x^l (x^l)ᵀ / B + decay · W^l
//     Δb^l = homeostasis · (1/2 - mean of x^l)
//     W ← W + exp(log_rate) ΔW,  b ← b + exp(log_rate) Δb
//
// Oja (1982) has hebb = 1, decorrelation = -1 and no more. θ: those five numbers. φ: W and b of every layer.
#include "common/rule/layout.h"
#include "common/rule/phi.h"
#include "common/rule/theta.h"

namespace outerloop::rule {

/// "log_rate", "hebb", "decorrelation", "decay", "homeostasis", [1] each.
Layout oja_theta(const RuleOptions& rule);

/// "l/W" [N_{l-1}, N_l], "l/b" [N_l].
Layout oja_phi(const RuleOptions& rule, const Architecture& architecture);

}  // namespace outerloop::rule
