#include "worker/gradient_message.h"

#include <algorithm>

namespace outerloop::worker {
namespace {

proto::Gradient::Domain domain_of(data::Domain domain) {
  switch (domain) {
    case data::Domain::images:
      return proto::Gradient::images;
    case data::Domain::texts:
      return proto::Gradient::texts;
    case data::Domain::tables:
      break;
  }
  return proto::Gradient::tables;
}

proto::Gradient::Outcome outcome_of(const LaneStep& lane) {
  return lane.too_long ? proto::Gradient::too_long : to_message(lane.result.outcome);
}

double scale_of(const LaneStep& lane, double clip) {
  return clip > 0.0 && lane.norm > clip ? clip / lane.norm : 1.0;
}

/// Rounded once, after the sum over lanes in their order.
std::vector<float> mean_of(const std::vector<LaneStep>& lanes, double clip) {
  std::vector<double> sum;
  for (const auto& lane : lanes) {
    if (!lane.counts()) continue;
    const auto& d_theta = lane.result.d_theta;
    const double scale = scale_of(lane, clip);
    sum.resize(d_theta.size());
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += scale * d_theta[i];
  }
  std::vector<float> mean(sum.size());
  const auto count = static_cast<double>(lanes.size());
  for (std::size_t i = 0; i < sum.size(); ++i) mean[i] = static_cast<float>(sum[i] / count);
  return mean;
}

void add_lane(const LaneStep& lane, proto::Gradient& header) {
  auto& to = *header.add_lanes();
  to.set_task(lane.task);
  to.set_outcome(outcome_of(lane));
  to.set_dataset(lane.dataset);
  if (lane.result.outcome != rule::Outcome::finished) return;
  to.set_meta_objective(lane.result.mean_meta_objective);
  to.set_norm(lane.norm);
}

/// A single lane's numbers stand in the header itself.
void add_only_lane(const LaneStep& lane, proto::Gradient& header) {
  header.set_meta_objective(lane.result.mean_meta_objective);
  header.set_dataset(lane.dataset);
  if (lane.counts()) header.set_norm(lane.norm);
}

}  // namespace

proto::Gradient::Outcome to_message(rule::Outcome outcome) {
  switch (outcome) {
    case rule::Outcome::finished:
      return proto::Gradient::finished;
    case rule::Outcome::dead_features:
      return proto::Gradient::dead_features;
    case rule::Outcome::not_finite:
      return proto::Gradient::not_finite;
  }
  return proto::Gradient::not_finite;
}

GradientMessage gradient_message(const StreamStep& step, std::uint32_t stream, std::int64_t theta_version,
                                 double clip) {
  GradientMessage message;
  auto& header = message.header;
  header.set_stream(stream);
  header.set_task(step.task);
  header.set_step(step.step);
  header.set_length(step.length);
  header.set_theta_version(theta_version);
  header.set_domain(domain_of(step.domain));
  const bool any =
      std::any_of(step.lanes.begin(), step.lanes.end(), [](const auto& lane) { return lane.counts(); });
  header.set_outcome(any ? proto::Gradient::finished : outcome_of(step.lanes.front()));
  if (step.lanes.size() == 1)
    add_only_lane(step.lanes.front(), header);
  else
    for (const auto& lane : step.lanes) add_lane(lane, header);
  message.floats = mean_of(step.lanes, clip);
  return message;
}

}  // namespace outerloop::worker
