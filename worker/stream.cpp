#include "worker/stream.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/base/error.h"
#include "common/rule/phi.h"
#include "common/rule/random.h"

namespace outerloop::worker {

std::int64_t Curriculum::limit(std::int64_t update) const {
  if (updates == 0) return std::numeric_limits<std::int64_t>::max();
  const double done = std::min(1.0, static_cast<double>(update) / static_cast<double>(updates));
  const double ratio = static_cast<double>(high) / static_cast<double>(low);
  return std::max<std::int64_t>(1, std::llround(static_cast<double>(low) * std::pow(ratio, done)));
}

Stream::Stream(const StreamContext& context, store::StreamState state)
    : context_(context), state_(std::move(state)) {
  OUTERLOOP_CHECK(
      context_.min_length >= 1 && context_.min_length <= context_.max_length,
      "truncations of " + std::to_string(context_.min_length) + " to " + std::to_string(context_.max_length));
  if (state_.phi.empty()) {
    begin_task(state_.task);
    return;
  }
  task_ = context_.tasks.sample(state_.stream, state_.task);
  if (task_.architecture.units != state_.units)
    throw InputError("stream " + std::to_string(state_.stream) + ": its task has the base model " +
                     task_.architecture.description() +
                     ", but the checkpoint holds another; the datasets or the configuration have changed");
  const auto numbers = context_.engine.phi_layout(task_.architecture).size();
  if (static_cast<std::int64_t>(state_.phi.size()) != numbers)
    throw InputError("stream " + std::to_string(state_.stream) + ": the checkpoint's φ has " +
                     std::to_string(state_.phi.size()) + " numbers, the base model " +
                     task_.architecture.description() + " has " + std::to_string(numbers) +
                     "; go on from another checkpoint");
  check_pairs();
}

void Stream::check_pairs() const {
  const auto& estimator = context_.estimator;
  const auto wanted =
      estimator.persistent() && state_.truncation > 0 ? static_cast<std::size_t>(estimator.pairs) : 0;
  const auto numbers = static_cast<std::size_t>(context_.engine.theta_layout().size());
  bool fits = state_.pairs.size() == wanted;
  for (const auto& pair : state_.pairs)
    fits = fits && pair.noise.size() == numbers && pair.phi_plus.size() == state_.phi.size() &&
           pair.phi_minus.size() == state_.phi.size();
  if (!fits)
    throw InputError("stream " + std::to_string(state_.stream) + ": the checkpoint's " +
                     std::to_string(state_.pairs.size()) +
                     " perturbed pairs are not those that the estimator " +
                     rule::estimator_name(estimator.kind) + " asks for; go on from another checkpoint");
}

void Stream::begin_task(std::uint32_t index) {
  task_ = context_.tasks.sample(state_.stream, index);
  state_.task = index;
  state_.step = 0;
  state_.truncation = 0;
  state_.begun_at = 0;
  state_.units = task_.architecture.units;
  state_.dataset = context_.tasks.datasets()[task_.dataset].dataset->name;
  state_.permutation_seed = (std::uint64_t{state_.stream} << 32) | index;
  state_.phi = context_.engine.initial_phi(task_.architecture, context_.seed, state_.stream, index);
  state_.pairs.clear();
}

std::int64_t Stream::draw_length() const {
  const rule::Random random(context_.seed, state_.stream, state_.task, rule::Purpose::truncation_length);
  if (context_.log_uniform_length)
    return random.log_uniform(state_.truncation, context_.min_length, context_.max_length);
  const auto choices = static_cast<std::uint64_t>(context_.max_length - context_.min_length + 1);
  return context_.min_length + static_cast<std::int64_t>(random.below(state_.truncation, choices));
}

StreamStep Stream::advance(const std::vector<double>& theta, std::int64_t update) {
  if (state_.step == 0) state_.begun_at = update;
  const std::int64_t last = std::min(task_.inner_steps, context_.curriculum.limit(state_.begun_at));
  StreamStep step{state_.task,
                  state_.step,
                  std::min(draw_length(), last - state_.step),
                  state_.dataset,
                  context_.tasks.datasets()[task_.dataset].dataset->domain,
                  {}};
  std::vector<rule::StepData> data;
  for (std::int64_t i = 0; i < step.length; ++i)
    data.push_back(context_.tasks.step_data(task_, state_.step + i));
  const rule::Random random(context_.seed, state_.stream, state_.task, rule::Purpose::perturbation);
  step.result = rule::estimate_gradient(
      context_.engine, context_.estimator,
      {task_.architecture, theta, state_.phi, data, random, state_.truncation}, state_.pairs);
  state_.step += step.length;
  ++state_.truncation;
  if (step.result.outcome == rule::Outcome::finished) state_.phi = step.result.phi;
  if (step.result.outcome != rule::Outcome::finished || state_.step >= last) begin_next_task();
  return step;
}

}  // namespace outerloop::worker
