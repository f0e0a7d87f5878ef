#include "worker/stream.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/base/error.h"
#include "common/rule/phi.h"
#include "common/rule/random.h"
#include "common/store/stream_message.h"

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
  OUTERLOOP_CHECK(context_.group >= 1, "a group of " + std::to_string(context_.group));
  const auto group = static_cast<std::size_t>(context_.group);
  tasks_.resize(group);
  if (state_.lanes.empty()) {
    begin_round(state_.task);
    return;
  }
  if (state_.lanes.size() != group)
    throw InputError("stream " + std::to_string(state_.stream) + ": the checkpoint has " +
                     std::to_string(state_.lanes.size()) + " tasks side by side, tasks.group is " +
                     std::to_string(group) + "; put the old value back");
  round_ = context_.tasks.round(number_of(0), state_.task);
  for (std::size_t l = 0; l < group; ++l) resume_task(l);
}

void Stream::resume_task(std::size_t lane) {
  const store::LaneState& state = state_.lanes[lane];
  data::Task& task = tasks_[lane];
  task = task_of(lane, state.task);
  if (task.architecture.units != state.units)
    throw InputError("stream " + std::to_string(state_.stream) + ": its task has the base model " +
                     task.architecture.description() +
                     ", but the checkpoint holds another; the datasets or the configuration have changed");
  const auto numbers = context_.engine.phi_layout(task.architecture).size();
  if (static_cast<std::int64_t>(state.phi.size()) != numbers)
    throw InputError("stream " + std::to_string(state_.stream) + ": the checkpoint's φ has " +
                     std::to_string(state.phi.size()) + " numbers, the base model " +
                     task.architecture.description() + " has " + std::to_string(numbers) +
                     "; continue from another checkpoint");
  check_pairs(state);
}

void Stream::check_pairs(const store::LaneState& lane) const {
  const auto& estimator = context_.estimator;
  const auto wanted =
      estimator.persistent() && lane.truncation > 0 ? static_cast<std::size_t>(estimator.pairs) : 0;
  const auto numbers = static_cast<std::size_t>(context_.engine.theta_layout().size());
  bool fits = lane.pairs.size() == wanted;
  for (const auto& pair : lane.pairs)
    fits = fits && pair.noise.size() == numbers && pair.phi_plus.size() == lane.phi.size() &&
           pair.phi_minus.size() == lane.phi.size();
  if (!fits)
    throw InputError("stream " + std::to_string(state_.stream) + ": the checkpoint's " +
                     std::to_string(lane.pairs.size()) +
                     " perturbed pairs are not those that the estimator " +
                     rule::estimator_name(estimator.kind) + " asks for; continue from another checkpoint");
}

std::uint32_t Stream::number_of(std::size_t lane) const {
  return store::lane_stream(state_.stream, tasks_.size(), lane);
}

/// A single lane's task is the one that its round is drawn from.
data::Task Stream::task_of(std::size_t lane, std::uint32_t index) const {
  if (tasks_.size() == 1) return context_.tasks.sample(state_.stream, index);
  return context_.tasks.sample(round_, number_of(lane), index);
}

void Stream::begin_round(std::uint32_t index) {
  round_ = context_.tasks.round(number_of(0), index);
  state_.task = index;
  state_.step = 0;
  state_.truncation = 0;
  state_.begun_at = 0;
  state_.lanes.resize(tasks_.size());
  for (std::size_t l = 0; l < tasks_.size(); ++l) begin_task(l, index);
}

void Stream::begin_task(std::size_t lane, std::uint32_t index) {
  data::Task& task = tasks_[lane];
  task = task_of(lane, index);
  store::LaneState& state = state_.lanes[lane];
  state.task = index;
  state.step = 0;
  state.truncation = 0;
  state.units = task.architecture.units;
  state.dataset = context_.tasks.datasets()[task.dataset].dataset->name;
  state.permutation_seed = store::permutation_seed(task.stream, index);
  state.phi = context_.engine.initial_phi(task.architecture, context_.seed, task.stream, index);
  state.pairs.clear();
}

void Stream::begin_next_task() {
  std::uint32_t last = state_.task;
  for (const auto& lane : state_.lanes) last = std::max(last, lane.task);
  begin_round(last + 1);
}

/// The update of θ that the round begins at; `update` if it begins now.
std::int64_t Stream::begun_at(std::int64_t update) const {
  return state_.step == 0 ? update : state_.begun_at;
}

/// Inner steps of the round.
std::int64_t Stream::round_length(std::int64_t update) const {
  return std::min(round_.inner_steps, context_.curriculum.limit(begun_at(update)));
}

std::int64_t Stream::draw_length(std::uint32_t truncation) const {
  const rule::Random random(context_.seed, number_of(0), state_.task, rule::Purpose::truncation_length);
  if (context_.log_uniform_length)
    return random.log_uniform(truncation, context_.min_length, context_.max_length);
  const auto choices = static_cast<std::uint64_t>(context_.max_length - context_.min_length + 1);
  return context_.min_length + static_cast<std::int64_t>(random.below(truncation, choices));
}

/// Of the next truncation.
std::int64_t Stream::next_length(std::int64_t update) const {
  return std::min(draw_length(state_.truncation), round_length(update) - state_.step);
}

MinibatchRequest Stream::next_minibatches(std::int64_t update) const {
  MinibatchRequest next{state_.stream, state_.task, tasks_, {}, 0};
  for (const auto& lane : state_.lanes) next.steps.push_back(lane.step);
  next.length = next_length(update);
  return next;
}

std::optional<MinibatchRequest> Stream::minibatches_after(const MinibatchRequest& next,
                                                          std::int64_t update) const {
  const std::int64_t left = round_length(update) - state_.step - next.length;
  if (left < 1) return std::nullopt;
  MinibatchRequest after = next;
  for (auto& step : after.steps) step += next.length;
  after.length = std::min(draw_length(state_.truncation + 1), left);
  return after;
}

std::vector<rule::TruncationResult> Stream::truncate(
    const std::vector<double>& theta, const Minibatches& data,
    std::vector<std::vector<rule::PerturbedPair>>& pairs) const {
  OUTERLOOP_CHECK_EQ(data.size(), tasks_.size());
  std::vector<rule::TruncationInput> lanes;
  for (std::size_t l = 0; l < tasks_.size(); ++l) {
    const store::LaneState& lane = state_.lanes[l];
    const rule::Random random(context_.seed, number_of(l), lane.task, rule::Purpose::perturbation);
    lanes.push_back({tasks_[l].architecture, theta, lane.phi, data[l], random, lane.truncation});
    pairs.push_back(lane.pairs);
  }
  return rule::estimate_gradients(context_.engine, context_.estimator, lanes, pairs);
}

/// What a lane's result says; its state is still the one before.
LaneStep Stream::take(std::size_t lane, rule::TruncationResult result) {
  LaneStep step{state_.lanes[lane].task, state_.lanes[lane].dataset, std::move(result)};
  double squares = 0.0;
  for (const double value : step.result.d_theta) squares += value * value;
  step.norm = std::sqrt(squares);
  step.too_long = tasks_.size() > 1 && step.norm > context_.reject_norm;
  return step;
}

StreamStep Stream::advance(const std::vector<double>& theta, std::int64_t update) {
  const auto request = next_minibatches(update);
  return advance(theta, update, prepare_minibatches(context_.tasks, request, context_.threads));
}

StreamStep Stream::advance(const std::vector<double>& theta, std::int64_t update, const Minibatches& data) {
  const std::int64_t begun = begun_at(update), last = round_length(update);
  StreamStep step{state_.task, state_.step, next_length(update), round_.domain, {}};
  for (const auto& steps : data)
    OUTERLOOP_CHECK_EQ(static_cast<std::int64_t>(steps.size()), std::max<std::int64_t>(step.length, 0));
  std::vector<std::vector<rule::PerturbedPair>> pairs;
  auto results = truncate(theta, data, pairs);  // may throw: nothing has changed then
  state_.begun_at = begun;
  state_.step += step.length;
  ++state_.truncation;
  for (std::size_t l = 0; l < tasks_.size(); ++l) {
    step.lanes.push_back(take(l, std::move(results[l])));
    if (!step.lanes[l].counts()) continue;
    store::LaneState& lane = state_.lanes[l];
    lane.step += step.length;
    ++lane.truncation;
    lane.phi = std::move(step.lanes[l].result.phi);
    lane.pairs = std::move(pairs[l]);
  }
  const bool none =
      std::none_of(step.lanes.begin(), step.lanes.end(), [](const auto& lane) { return lane.counts(); });
  if (none || state_.step >= last) {
    begin_next_task();
    return step;
  }
  for (std::size_t l = 0; l < tasks_.size(); ++l)
    if (!step.lanes[l].counts()) begin_task(l, state_.lanes[l].task + 1);
  return step;
}

}  // namespace outerloop::worker
