#include "common/rule/theta.h"

#include <cmath>
#include <limits>

#include "common/base/error.h"
#include "common/rule/random.h"
#include "common/rule/scripted_rule.h"

namespace outerloop::rule {
namespace {

/// Collects tensor specs with the paper's initialisation: truncated normal of sigma 1/sqrt(fan-in), biases
/// and betas zero.
class SpecList {
 public:
  void convolution(const std::string& name, std::int64_t kernel, std::int64_t in, std::int64_t out,
                   const std::string& what, bool batch_norm_follows) {
    weight(name + ".w", {kernel, in, out}, "kernel," + what + "_in," + what + "_out", kernel * in);
    zeros(name + ".b", out, what + "_out", batch_norm_follows);
    if (batch_norm_follows) zeros(name + ".beta", out, what + "_out", false);
  }

  void linear(const std::string& name, std::int64_t in, std::int64_t out) {
    weight(name + ".w", {in, out}, "channel_in,channel_out", in);
    zeros(name + ".b", out, "channel_out", false);
  }

  void zeros(const std::string& name, std::int64_t size, const std::string& axis, bool zero_gradient) {
    constant(name, size, axis, 0.0, zero_gradient);
  }

  void constant(const std::string& name, std::int64_t size, const std::string& axis, double value,
                bool zero_gradient = false) {
    specs_.push_back({name, {size}, axis, Initializer::constant(value), zero_gradient, 0});
  }

  std::vector<TensorSpec> take() { return std::move(specs_); }

 private:
  void weight(const std::string& name, std::vector<std::int64_t> shape, const std::string& axes,
              std::int64_t fan_in) {
    const double sigma = 1.0 / std::sqrt(static_cast<double>(fan_in));
    specs_.push_back({name, std::move(shape), axes, Initializer::truncated_normal(sigma), false, 0});
  }

  std::vector<TensorSpec> specs_;
};

void add_unit_block(SpecList& list, const std::string& name, std::int64_t channels) {
  for (const char* i : {".0", ".1"}) list.convolution(name + i, 3, channels, channels, "channel", true);
}

void add_readouts(SpecList& list, const std::string& prefix, const NeuronLocalSize& size) {
  for (const char* name : {"w0", "w1", "rbf", "lin_lower", "lin_upper", "sqr_lower", "sqr_upper"})
    for (const char* side : {".row", ".col"})
      list.linear(prefix + "readout." + name + side, size.hidden_channels, size.readout_channels);
  list.linear(prefix + "readout.lin_upper_psd", size.hidden_channels, size.readout_channels);
  list.constant(prefix + "merge.w", 12, "term", size.initial_merge);
  list.zeros(prefix + "merge.b", 1, "one", false);
}

/// Range of a number whose logarithm, or logit, is stored in θ.
void require_between(const char* key, double value, double high) {
  if (!(value > 0.0 && value < high))
    throw InputError(std::string(key) + ": must be above 0 and below " + std::to_string(high) + ", got " +
                     std::to_string(value));
}

}  // namespace

NeuronLocalSize paper_size() { return {64, 64, 32, 4, 1, 2, 32, 1e-4, 0.1, false, 0.1}; }

Layout neuron_local_theta(const RuleOptions& rule) {
  const NeuronLocalSize& s = rule.neuron_local;
  SpecList list;
  list.convolution("top.in", 5, 1, s.top_channels, "channel", true);
  for (const char* i : {"0", "1"})
    list.convolution(std::string("top.mix.") + i, 3, s.output_units, s.output_units, "unit", true);
  for (std::int64_t i = 0; i < s.top_layers; ++i)
    list.convolution("top.block." + std::to_string(i), 3, s.top_channels, s.top_channels, "channel", true);
  list.convolution("top.out", 3, s.top_channels, s.delta_channels, "channel", false);
  list.zeros("hidden.features.beta", 4 + s.delta_channels, "feature", false);
  list.convolution("hidden.in", 3, 9 + 4 + s.delta_channels, s.hidden_channels, "channel", true);
  add_unit_block(list, "hidden.in.unit", s.hidden_channels);
  for (std::int64_t i = 0; i < s.hidden_blocks; ++i) {
    const std::string name = "hidden.block." + std::to_string(i);
    list.convolution(name, 3, s.hidden_channels, s.hidden_channels, "channel", true);
    add_unit_block(list, name + ".unit", s.hidden_channels);
  }
  list.linear("delta", s.hidden_channels, s.delta_channels);
  add_readouts(list, "", s);
  list.linear("bias", s.hidden_channels, 1);
  if (s.separate_backward_readouts) add_readouts(list, "backward.", s);
  return Layout(list.take());
}

Layout supervised_sgd_theta(const RuleOptions& rule) {
  const SupervisedSgdOptions& options = rule.supervised_sgd;
  require_between("rule.initial_learning_rate", options.initial_learning_rate,
                  std::numeric_limits<double>::infinity());
  require_between("rule.initial_momentum", options.initial_momentum, 1.0);
  SpecList list;
  const double logit = std::log(options.initial_momentum / (1.0 - options.initial_momentum));
  for (const char* kind : {"hidden", "output"}) {
    list.constant(std::string(kind) + ".log_learning_rate", 1, "one",
                  std::log(options.initial_learning_rate));
    list.constant(std::string(kind) + ".logit_momentum", 1, "one", logit);
  }
  return Layout(list.take());
}

Layout torchscript_theta(const RuleOptions& rule) {
  OUTERLOOP_CHECK(rule.script != nullptr, "a rule torchscript without its module");
  return rule.script->theta;
}

std::vector<double> initial_theta(const RuleOptions& rule, std::uint64_t seed) {
  return rule.script ? rule.script->initial_theta : initial_theta(theta_layout(rule), seed);
}

std::vector<double> initial_theta(const Layout& layout, std::uint64_t seed) {
  const Random random(seed, 0, 0, Purpose::theta);
  return draw_initial(layout, random);
}

}  // namespace outerloop::rule
