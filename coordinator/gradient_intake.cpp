#include "coordinator/gradient_intake.h"

#include <algorithm>
#include <cmath>

#include "common/base/error.h"

namespace outerloop::coordinator {
namespace {

data::Domain domain_of(const proto::Gradient& gradient) {
  switch (gradient.domain()) {
    case proto::Gradient::texts:
      return data::Domain::texts;
    case proto::Gradient::tables:
      return data::Domain::tables;
    default:
      return data::Domain::images;
  }
}

/// Why a lane with this outcome has no gradient; Refusal::none if it has one.
Refusal without_gradient(proto::Gradient::Outcome outcome) {
  switch (outcome) {
    case proto::Gradient::finished:
      return Refusal::none;
    case proto::Gradient::dead_features:
      return Refusal::dead_features;
    case proto::Gradient::too_long:
      return Refusal::norm;
    default:
      return Refusal::not_finite;
  }
}

bool any_taken(const std::vector<Refusal>& causes) {
  return std::find(causes.begin(), causes.end(), Refusal::none) != causes.end();
}

/// Without lanes, the gradient's header itself holds the numbers of its one task.
std::vector<proto::Gradient::Lane> lanes_of(const proto::Gradient& gradient, std::size_t group) {
  if (group > 1) return {gradient.lanes().begin(), gradient.lanes().end()};
  proto::Gradient::Lane lane;
  lane.set_task(gradient.task());
  lane.set_outcome(gradient.outcome());
  lane.set_meta_objective(gradient.meta_objective());
  lane.set_norm(gradient.norm());
  lane.set_dataset(gradient.dataset());
  return {lane};
}

/// Bound on the norm of a gradient as received, after the worker's clipping.
double most_norm(const CoordinatorOptions& options) {
  const double clip = options.gradient_norm_clip;
  return clip > 0.0 ? std::min(clip, options.reject_norm) : options.reject_norm;
}

}  // namespace

GradientIntake::GradientIntake(const CoordinatorOptions& options, std::size_t parameters)
    : deterministic_(options.deterministic),
      size_(options.batch),
      streams_(options.streams),
      group_(static_cast<std::size_t>(options.group)),
      staleness_bound_(options.deterministic ? 0 : options.staleness_bound),
      reject_norm_(options.reject_norm),
      datasets_(options.datasets),
      batch_norm_clip_(options.batch_norm_clip),
      parameters_(parameters),
      batch_(parameters, most_norm(options)),
      order_(options.streams) {
  OUTERLOOP_CHECK(options.group >= 1, "a group of " + std::to_string(options.group));
  if (deterministic_) OUTERLOOP_CHECK_EQ(size_, streams_);
}

/// Why a lane's gradient is rejected, or why it has none.
Refusal GradientIntake::refusal(const proto::Gradient::Lane& lane) const {
  const bool known = datasets_.empty() || datasets_.count(lane.dataset()) > 0;
  if (!known) return Refusal::layout;
  if (!std::isfinite(lane.norm()) || !std::isfinite(lane.meta_objective())) return Refusal::not_finite;
  return lane.norm() > reject_norm_ ? Refusal::norm : Refusal::none;
}

/// Checks that do not need the gradient's numbers, by lane. If the whole gradient is rejected, no lane's
/// result is `none`.
std::vector<Refusal> GradientIntake::refusals(const proto::Gradient& gradient, const Lanes& lanes,
                                              std::size_t floats, std::int64_t update) const {
  const auto all = [&](Refusal cause) { return std::vector<Refusal>(group_, cause); };
  const std::int64_t version = gradient.theta_version();
  if (version < 0 || version > update || update - version > staleness_bound_) return all(Refusal::stale);
  const bool known = gradient.stream() < streams_;
  if (deterministic_ && known && order_.has(gradient.stream())) return all(Refusal::duplicate);
  if (lanes.size() != group_) return all(Refusal::layout);
  std::vector<Refusal> causes;
  for (const auto& lane : lanes) causes.push_back(without_gradient(lane.outcome()));
  if (!any_taken(causes)) return causes;
  if (floats != parameters_ || !known) return all(Refusal::layout);
  for (std::size_t l = 0; l < group_; ++l)
    if (causes[l] == Refusal::none)
      if (const Refusal cause = refusal(lanes[l]); cause != Refusal::none) return all(cause);
  return causes;
}

Verdict GradientIntake::take(int from, const proto::Gradient& gradient, net::FloatView floats,
                             std::int64_t update) {
  batch_.watch(DomainCosines::watches(update) ? &cosines_ : nullptr);
  const Lanes lanes = lanes_of(gradient, group_);
  std::vector<Refusal> causes = refusals(gradient, lanes, floats.size(), update);
  if (!any_taken(causes)) return refuse(from, gradient.stream(), causes);
  std::vector<GradientNote> notes;
  for (std::size_t l = 0; l < group_; ++l)
    if (causes[l] == Refusal::none)
      notes.push_back({from, lanes[l].meta_objective(), lanes[l].norm(), update - gradient.theta_version(),
                       lanes[l].dataset(), domain_of(gradient)});
  const Refusal cause = deterministic_ ? order_.put(gradient.stream(), floats, std::move(notes), batch_)
                                       : batch_.add(floats, std::move(notes));
  if (cause != Refusal::none) return refuse(from, gradient.stream(), std::vector<Refusal>(group_, cause));
  for (const Refusal lane : causes)
    if (lane != Refusal::none) zeros_.emplace_back(from, lane);
  return {};
}

/// In deterministic mode a gradient of this update fills its stream's place.
Verdict GradientIntake::refuse(int from, std::uint32_t stream, const std::vector<Refusal>& causes) {
  const Refusal cause = causes.front();
  const bool of_this_update = cause != Refusal::stale && cause != Refusal::duplicate && stream < streams_;
  if (!deterministic_ || !of_this_update) return {cause, false, causes};
  order_.skip(stream, batch_);
  for (const Refusal lane : causes) zeros_.emplace_back(from, lane);
  return {cause, true, {}};
}

FullBatch GradientIntake::take_batch(std::int64_t update) {
  FullBatch full;
  full.notes = batch_.notes();
  full.mean = batch_.take(size_, batch_norm_clip_, full.summary);
  full.zeros.swap(zeros_);
  if (DomainCosines::ends(update)) full.domain_cosines = cosines_.take();
  order_.clear();
  return full;
}

void GradientIntake::clear() {
  batch_.clear();
  cosines_.clear();
  order_.clear();
  zeros_.clear();
}

}  // namespace outerloop::coordinator
