#pragma once
// φ, the parameters of a base model and the other state that an update rule carries between inner steps.
#include <cstdint>
#include <string>
#include <vector>

#include "common/rule/layout.h"
#include "common/rule/theta.h"

namespace outerloop::rule {

/// Non-linearities of the base model. Meta-training uses relu; the others are for the experiment of the
/// paper's Figure 5.
enum class Nonlinearity { relu, leaky_relu, swish, elu, tanh, step };

/// A base model: a multi-layer perceptron.
struct Architecture {
  std::vector<std::int64_t> units;  ///< N_0 (inputs), N_1, ..., N_L: at least two entries
  Nonlinearity nonlinearity = Nonlinearity::relu;

  std::int64_t layers() const { return static_cast<std::int64_t>(units.size()) - 1; }  ///< L
  std::int64_t inputs() const { return units.front(); }
  std::int64_t outputs() const { return units.back(); }
  std::string description() const;  ///< e.g. "196-48-48-32"
  bool operator==(const Architecture& other) const {
    return units == other.units && nonlinearity == other.nonlinearity;
  }
};

/// Tensors of φ, layer by layer, l = 1..L.
/// neuron_local: "l/W" [N_{l-1}, N_l], "l/b" [N_l], "l/V" [N_{l-1}, N_l].
/// supervised_sgd: "l/W", "l/b" and their momentum buffers "l/momentum_W", "l/momentum_b".
/// torchscript: "l/KEY", whatever the module's init returns.
Layout phi_layout(const RuleOptions& rule, const Architecture& architecture);

/// φ's layout of each rule (see rules.h).
Layout neuron_local_phi(const RuleOptions& rule, const Architecture& architecture);
Layout supervised_sgd_phi(const RuleOptions& rule, const Architecture& architecture);
Layout torchscript_phi(const RuleOptions& rule, const Architecture& architecture);

/// φ before the first inner step, drawn from (seed, stream, task).
std::vector<double> initial_phi(const Layout& layout, std::uint64_t seed, std::uint32_t stream,
                                std::uint32_t task);

}  // namespace outerloop::rule
