#include "common/evaluation/apply.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/error.h"
#include "common/data/scaling.h"
#include "common/evaluation/few_shot_methods.h"

namespace outerloop::evaluation {
namespace {

constexpr float kTop = 255.0f;

std::int64_t columns_of(const data::Array& x, const std::string& name) {
  return data::count_elements(x.shape, name) / x.shape.front();
}

/// `finite` says of a number whether it is.
template <class Finite>
void check_finite(const data::Array& x, const std::string& name, const char* of_what, const Finite& finite) {
  const auto bad = std::find_if_not(x.numbers.begin(), x.numbers.end(), finite);
  if (bad == x.numbers.end()) return;
  const std::int64_t place = bad - x.numbers.begin(), columns = columns_of(x, name);
  throw InputError(name + ": the value in row " + std::to_string(place / columns) + ", column " +
                   std::to_string(place % columns) + " (counted from 0) is no finite number" + of_what);
}

}  // namespace

rule::Matrix scaled_vectors(data::Array x, data::ScalingKind kind, const std::string& name) {
  check_finite(x, name, "", [](double value) { return std::isfinite(value); });
  data::WorkingSet set;
  set.inputs = columns_of(x, name);
  set.class_names = {"all"};
  set.labels.assign(static_cast<std::size_t>(x.shape.front()), 0);
  set.pixels = std::move(x.bytes);
  set.values = std::move(x.numbers);
  data::scale_vectors(data::fit_scalings(kind, set, data::ClassSplit::all), name, set);
  rule::Matrix inputs(set.examples(), set.inputs);
  std::transform(set.pixels.begin(), set.pixels.end(), inputs.values.begin(),
                 [](std::uint8_t level) { return static_cast<float>(level) / kTop; });
  return inputs;
}

rule::Matrix scaled_images(const data::Array& x, const std::string& name) {
  rule::Matrix inputs = unscaled_inputs(x, name);
  const auto range = std::minmax_element(inputs.values.begin(), inputs.values.end());
  const double low = *range.first, width = static_cast<double>(*range.second) - low;
  for (float& value : inputs.values)
    value = width > 0.0 ? static_cast<float>((static_cast<double>(value) - low) / width) : 0.0f;
  return inputs;
}

rule::Matrix unscaled_inputs(const data::Array& x, const std::string& name) {
  check_finite(x, name, " of float32", [](double value) { return std::isfinite(static_cast<float>(value)); });
  rule::Matrix inputs(x.shape.front(), columns_of(x, name));
  if (x.is_bytes())
    std::transform(x.bytes.begin(), x.bytes.end(), inputs.values.begin(),
                   [](std::uint8_t value) { return static_cast<float>(value) / kTop; });
  else
    std::transform(x.numbers.begin(), x.numbers.end(), inputs.values.begin(),
                   [](double value) { return static_cast<float>(value); });
  return inputs;
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
