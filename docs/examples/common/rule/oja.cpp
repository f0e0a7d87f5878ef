#include "common/rule/oja.h"

#include <cmath>
#include <string>

namespace outerloop::rule {

Layout oja_theta(const RuleOptions&) {
  std::vector<TensorSpec> specs;
  const auto add = [&](const char* name, double value) {
    specs.push_back({name, {1}, "one", Initializer::constant(value), false, 0});
  };
  add("log_rate", std::log(0.01));
  add("hebb", 1.0);
  add("decorrelation", -1.0);
  add("decay", 0.0);
  add("homeostasis", 0.0);
  return Layout(std::move(specs));
}

Layout oja_phi(const RuleOptions&, const Architecture& architecture) {
  std::vector<TensorSpec> specs;
  for (std::size_t l = 1; l < architecture.units.size(); ++l) {
    const std::int64_t below = architecture.units[l - 1], here = architecture.units[l];
    const double deviation = 1.0 / std::sqrt(static_cast<double>(below));
    const std::string prefix = std::to_string(l) + "/";
    specs.push_back(
        {prefix + "W", {below, here}, "unit_below,unit", Initializer::truncated_normal(deviation), false, 0});
    specs.push_back({prefix + "b", {here}, "unit", Initializer::constant(0.0), false, 0});
  }
  return Layout(std::move(specs));
}

}  // namespace outerloop::rule
