#include "common/rule/phi.h"

#include <cmath>

#include "common/base/error.h"
#include "common/rule/random.h"
#include "common/rule/scripted_rule.h"

namespace outerloop::rule {

std::string Architecture::description() const {
  std::string text;
  for (const auto n : units) text += (text.empty() ? "" : "-") + std::to_string(n);
  return text;
}

namespace {

Layout layout_of(const Architecture& architecture, bool sgd) {
  // Metz et al. draw small W and V, since batch norm removes their scale; for SGD the scale of He et al. is
  // kept.
  std::vector<TensorSpec> specs;
  for (std::int64_t l = 1; l <= architecture.layers(); ++l) {
    const std::int64_t below = architecture.units[static_cast<std::size_t>(l - 1)];
    const std::int64_t here = architecture.units[static_cast<std::size_t>(l)];
    const std::string prefix = std::to_string(l) + "/";
    const auto weights =
        Initializer::truncated_normal(sgd ? std::sqrt(2.0 / static_cast<double>(below)) : 0.01);
    const auto biases = sgd ? Initializer::constant(0.0) : Initializer::truncated_normal(0.1);
    const auto zero = Initializer::constant(0.0);
    specs.push_back({prefix + "W", {below, here}, "unit_below,unit", weights, false, 0});
    specs.push_back({prefix + "b", {here}, "unit", biases, false, 0});
    if (sgd) {
      specs.push_back({prefix + "momentum_W", {below, here}, "unit_below,unit", zero, false, 0});
      specs.push_back({prefix + "momentum_b", {here}, "unit", zero, false, 0});
    } else {
      specs.push_back({prefix + "V", {below, here}, "unit_below,unit", weights, false, 0});
    }
  }
  return Layout(std::move(specs));
}

}  // namespace

Layout neuron_local_phi(const RuleOptions&, const Architecture& architecture) {
  return layout_of(architecture, false);
}

Layout supervised_sgd_phi(const RuleOptions&, const Architecture& architecture) {
  return layout_of(architecture, true);
}

Layout torchscript_phi(const RuleOptions& rule, const Architecture& architecture) {
  OUTERLOOP_CHECK(rule.script != nullptr, "a rule torchscript without its module");
  return rule.script->phi_layout(architecture);
}

std::vector<double> initial_phi(const Layout& layout, std::uint64_t seed, std::uint32_t stream,
                                std::uint32_t task) {
  return draw_initial(layout, Random(seed, stream, task, Purpose::phi));
}

}  // namespace outerloop::rule
