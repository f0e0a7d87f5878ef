#include "common/evaluation/apply.h"

#include <algorithm>
#include <cmath>

#include "common/base/error.h"
#include "common/evaluation/few_shot_methods.h"

namespace outerloop::evaluation {
namespace {

/// (x − low) / (high − low), over the whole range of float.
float between(float x, float low, float high) {
  if (!(high > low)) return 0.0f;
  const double width = static_cast<double>(high) - static_cast<double>(low);
  return static_cast<float>((static_cast<double>(x) - static_cast<double>(low)) / width);
}

void check_finite(const rule::Matrix& x, const std::string& name) {
  for (std::int64_t i = 0; i < x.rows; ++i)
    for (std::int64_t j = 0; j < x.columns; ++j)
      if (!std::isfinite(x.row(i)[j]))
        throw InputError(name + ": the value in row " + std::to_string(i) + ", column " + std::to_string(j) +
                         " (counted from 0) is no finite number of float32");
}

}  // namespace

void scale_inputs(rule::Matrix& x, InputScale scale, const std::string& name) {
  check_finite(x, name);
  if (scale == InputScale::none || x.values.empty()) return;
  if (scale == InputScale::array) {
    const auto range = std::minmax_element(x.values.begin(), x.values.end());
    const float low = *range.first, high = *range.second;
    for (float& value : x.values) value = between(value, low, high);
    return;
  }
  for (std::int64_t j = 0; j < x.columns; ++j) {
    float low = x.row(0)[j], high = low;
    for (std::int64_t i = 1; i < x.rows; ++i) {
      low = std::min(low, x.row(i)[j]);
      high = std::max(high, x.row(i)[j]);
    }
    for (std::int64_t i = 0; i < x.rows; ++i) x.row(i)[j] = between(x.row(i)[j], low, high);
  }
}

rule::Matrix apply_rule(rule::Engine& engine, const std::vector<double>& theta, const rule::Matrix& x,
                        const ApplyOptions& options) {
  if (options.inner_steps < 1)
    throw InputError(std::to_string(options.inner_steps) + " inner steps: take 1 at least");
  // A draw of few-shot evaluation that has no labels and permutes nothing.
  FewShotData data;
  data.train = x;
  FewShotOptions few_shot;
  few_shot.hidden = options.hidden;
  few_shot.minibatch = options.minibatch;
  few_shot.seed = options.seed;
  few_shot.permute = false;
  few_shot.methods.clear();
  const FewShotPreparation prepared;
  const RuleUnderTest rule{nullptr, theta, {}};  // no factory: the caller has made the engine
  const MethodSet set(engine, rule, data, few_shot, prepared);
  const auto draw = set.draws().sample(0);
  const auto phi = set.train(theta, draw, {options.inner_steps}).front();
  return set.features(draw, phi, {&x}).front();
}

}  // namespace outerloop::evaluation
