#include "coordinator/coordinator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "common/rule/error.h"

namespace outerloop::coordinator {
namespace {

constexpr double kHour = 3600.0;

bool all_finite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
}

std::vector<float> to_floats(const std::vector<double>& values) {
  std::vector<float> floats(values.size());
  std::transform(values.begin(), values.end(), floats.begin(),
                 [](double v) { return static_cast<float>(v); });
  return floats;
}

}  // namespace

const char* stop_reason_name(StopReason reason) {
  switch (reason) {
    case StopReason::none:
      return "none";
    case StopReason::updates:
      return "updates";
    case StopReason::seconds:
      return "seconds";
    case StopReason::signal:
      return "signal";
    case StopReason::failures:
      return "failures";
    case StopReason::disk:
      return "disk";
    case StopReason::diverged:
      return "diverged";
  }
  return "none";
}

store::StreamState from_message(const proto::StreamState& message) {
  store::StreamState state;
  state.stream = message.stream();
  state.task = message.task();
  state.step = message.step();
  state.truncation = message.truncation();
  state.units.assign(message.units().begin(), message.units().end());
  state.dataset = message.dataset();
  state.permutation_seed = (std::uint64_t{message.stream()} << 32) | message.task();
  state.phi.assign(message.phi().begin(), message.phi().end());
  return state;
}

proto::StreamState to_message(const store::StreamState& state) {
  proto::StreamState message;
  message.set_stream(state.stream);
  message.set_task(state.task);
  message.set_step(state.step);
  message.set_truncation(state.truncation);
  message.mutable_units()->Add(state.units.begin(), state.units.end());
  message.set_dataset(state.dataset);
  message.mutable_phi()->Add(state.phi.begin(), state.phi.end());
  return message;
}

Coordinator::Coordinator(CoordinatorOptions options, store::Checkpoint start, const std::vector<int>& workers,
                         Observer& observer, double now)
    : options_(options),
      observer_(observer),
      state_(std::move(start)),
      smooth_(state_.history),
      adam_(options.adam, state_.rule.theta.size()),
      batch_(state_.rule.theta.size()),
      membership_(workers, options.streams, state_.streams, now),
      theta_floats_(to_floats(state_.rule.theta)),
      start_(now),
      start_seconds_(state_.seconds),
      now_(now),
      start_gradients_(counter("gradients")),
      last_checkpoint_(state_.rule.update) {
  if (!state_.adam_m.empty()) adam_.restore(state_.adam_m, state_.adam_v, state_.adam_step);
  for (const auto& stream : state_.streams) streams_[stream.stream] = stream;
  if (options_.updates > 0 && update() >= options_.updates) request_stop(StopReason::updates);
}

std::int64_t Coordinator::counter(const std::string& name) const {
  const auto found = state_.counters.find(name);
  return found == state_.counters.end() ? 0 : found->second;
}

std::map<std::string, std::int64_t> Coordinator::refused() const {
  const std::string prefix = "refused.";
  std::map<std::string, std::int64_t> result;
  for (const auto& [name, count] : state_.counters)
    if (name.compare(0, prefix.size(), prefix) == 0) result[name.substr(prefix.size())] = count;
  return result;
}

std::vector<Answer> Coordinator::handle(int from, const std::string& bytes, double now) {
  now_ = now;
  Member* member = membership_.find(from);
  net::Frame frame;
  proto::WorkerMessage message;
  try {
    frame = net::decode(bytes);
    if (member == nullptr || !message.ParseFromString(frame.header))
      throw InputError("it is no worker's message");
  } catch (const InputError& error) {
    observer_.on_warning(fmt::format("a message from rank {} is ignored: {}", from, error.what()));
    return {};
  }
  if (member->lost) {
    proto::CoordinatorMessage refusal;
    refusal.set_command(proto::CoordinatorMessage::refused);
    return {Answer{from, {refusal.SerializeAsString(), {}}}};
  }
  member->last_heard = now;
  if (message.signalled()) request_stop(StopReason::signal);
  if (message.has_streams()) keep_streams(from, message);
  switch (message.kind_case()) {
    case proto::WorkerMessage::kHello:
      member->host = message.hello().host();
      member->pid = message.hello().pid();
      break;
    case proto::WorkerMessage::kGradient:
      on_gradient(from, *member, message.gradient(), frame.floats, now);
      break;
    case proto::WorkerMessage::kFailure:
      lose(from, message.failure().message(), now);
      return {};
    case proto::WorkerMessage::kFarewell:
      member->farewell = true;
      return {};
    default:
      observer_.on_warning(fmt::format("a message of an unknown kind from rank {} is ignored", from));
  }
  checkpoint_if_complete();
  return {answer(from, *member)};
}

std::string Coordinator::refusal(const proto::Gradient& gradient, const std::vector<float>& floats) const {
  if (gradient.outcome() == proto::Gradient::dead_features) return "dead_features";
  if (gradient.outcome() != proto::Gradient::finished) return "not_finite";
  if (floats.size() != state_.rule.theta.size()) return "layout";
  if (update() - gradient.theta_version() > options_.staleness_bound || gradient.theta_version() > update())
    return "stale";
  if (!std::isfinite(gradient.norm()) || !std::isfinite(gradient.meta_objective()) || !all_finite(floats))
    return "not_finite";
  if (gradient.norm() > options_.reject_norm) return "norm";
  return "";
}

void Coordinator::on_gradient(int from, Member& member, const proto::Gradient& gradient,
                              const std::vector<float>& floats, double now) {
  membership_.note_task(gradient.stream(), gradient.task());
  if (stop_reason_ != StopReason::none) return;  // θ is final
  const std::string cause = refusal(gradient, floats);
  if (!cause.empty()) {
    ++state_.counters["refused." + cause];
    ++member.refused[cause];
    return;
  }
  ++state_.counters["gradients"];
  ++member.gradients;
  smooth_.add(gradient.dataset(), gradient.meta_objective());
  batch_.add(floats, {from, gradient.meta_objective(), gradient.norm(), update() - gradient.theta_version(),
                      gradient.dataset()});
  if (batch_.size() == options_.batch) apply_batch(now);
}

void Coordinator::apply_batch(double now) {
  UpdateRecord record;
  record.learning_rate = adam_.learning_rate();
  const auto mean = batch_.take(options_.batch_norm_clip, record.batch);
  auto& theta = state_.rule.theta;
  adam_.update(theta, mean);
  auto& average = state_.rule.theta_average;
  if (options_.average_decay > 0.0) {
    if (average.empty()) average = theta;
    for (std::size_t i = 0; i < theta.size(); ++i)
      average[i] = static_cast<float>(average[i] + (1.0 - options_.average_decay) * (theta[i] - average[i]));
  }
  theta_floats_ = to_floats(theta);
  ++state_.rule.update;
  record.update = update();
  record.seconds = seconds(now);
  record.meta_objective_smooth = smooth_.mean();
  record.gradients = counter("gradients");
  record.gradients_per_second =
      static_cast<double>(record.gradients - start_gradients_) / std::max(now - start_, 1e-9);
  record.refused = refused();
  remember_history(record);
  observer_.on_update(record);
  if (!all_finite(theta_floats_)) request_stop(StopReason::diverged);
  if (options_.updates > 0 && update() >= options_.updates) request_stop(StopReason::updates);
  const bool due = options_.checkpoint_every > 0 && update() - last_checkpoint_ >= options_.checkpoint_every;
  if (!due || stop_reason_ != StopReason::none || checkpoint_under_way_) return;
  last_checkpoint_ = update();
  checkpoint_under_way_ = true;
  for (const auto& [number, other] : membership_.members())
    if (!other.lost && !other.farewell && !other.streams.empty()) awaited_.insert(number);
}

void Coordinator::remember_history(const UpdateRecord& record) {
  auto& history = state_.history;
  history["update"].push_back(static_cast<double>(record.update));
  history["seconds"].push_back(record.seconds);
  history["meta_objective"].push_back(record.batch.meta_objective);
  smooth_.append_to(history);
  history["gradient_norm"].push_back(record.batch.gradient_norm);
  history["worker_gradient_norm"].push_back(record.batch.worker_gradient_norm);
  history["staleness_mean"].push_back(record.batch.staleness_mean);
}

void Coordinator::keep_streams(int from, const proto::WorkerMessage& message) {
  for (const auto& stream : message.streams()) streams_[stream.stream()] = from_message(stream);
  awaited_.erase(from);
}

void Coordinator::checkpoint_if_complete() {
  if (!checkpoint_under_way_ || !awaited_.empty()) return;
  checkpoint_under_way_ = false;
  if (stop_reason_ == StopReason::none) observer_.on_checkpoint(snapshot());
}

void Coordinator::lose(int worker, const std::string& why, double now) {
  const Member& member = *membership_.find(worker);
  observer_.on_warning(
      fmt::format("worker {} on {} (process {}) is lost: {}", worker, member.host, member.pid, why));
  membership_.lose(worker);
  ++state_.counters["workers_lost"];
  failure_times_.push_back(now);
  const auto recent = std::count_if(failure_times_.begin(), failure_times_.end(),
                                    [&](double time) { return now - time <= kHour; });
  if (recent > options_.max_failures || membership_.active() == 0) request_stop(StopReason::failures);
  awaited_.erase(worker);
}

void Coordinator::tick(double now) {
  now_ = now;
  for (const int worker : membership_.silent(now, options_.deadline))
    lose(worker, fmt::format("silent for {:.0f} s", options_.deadline), now);
  if (options_.seconds > 0.0 && seconds(now) >= options_.seconds) request_stop(StopReason::seconds);
  checkpoint_if_complete();
}

void Coordinator::request_stop(StopReason reason) {
  if (stop_reason_ == StopReason::none) stop_reason_ = reason;
}

Answer Coordinator::answer(int to, Member& member) {
  proto::CoordinatorMessage message;
  message.set_theta_version(update());
  Answer result{to, {}};
  if (stop_reason_ != StopReason::none) {
    message.set_command(proto::CoordinatorMessage::stop);
  } else {
    message.set_command(proto::CoordinatorMessage::work);
    message.set_send_streams(awaited_.count(to) > 0);
    for (const auto& state : member.to_assign) *message.add_assign() = to_message(state);
    member.to_assign.clear();
    if (member.theta_version != update()) result.frame.floats = theta_floats_;
    member.theta_version = update();
  }
  result.frame.header = message.SerializeAsString();
  return result;
}

std::vector<Answer> Coordinator::release() const {
  std::vector<Answer> answers;
  for (const auto& [number, member] : membership_.members()) {
    if (!member.farewell) continue;
    proto::CoordinatorMessage message;
    message.set_command(proto::CoordinatorMessage::released);
    message.set_finalize(membership_.lost() == 0);
    answers.push_back({number, {message.SerializeAsString(), {}}});
  }
  return answers;
}

store::Checkpoint Coordinator::snapshot() const {
  store::Checkpoint checkpoint = state_;
  checkpoint.adam_m = adam_.m();
  checkpoint.adam_v = adam_.v();
  checkpoint.adam_step = adam_.step();
  checkpoint.seconds = seconds(now_);
  checkpoint.streams.clear();
  for (const auto& [number, stream] : streams_) checkpoint.streams.push_back(stream);
  return checkpoint;
}

}  // namespace outerloop::coordinator
