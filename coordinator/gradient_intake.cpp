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
      staleness_bound_(options.deterministic ? 0 : options.staleness_bound),
      reject_norm_(options.reject_norm),
      datasets_(options.datasets),
      batch_norm_clip_(options.batch_norm_clip),
      parameters_(parameters),
      batch_(parameters, most_norm(options)),
      order_(options.streams) {
  if (deterministic_) OUTERLOOP_CHECK_EQ(size_, streams_);
}

/// Checks that do not need the gradient's numbers.
Refusal GradientIntake::refusal(const proto::Gradient& gradient, std::size_t floats,
                                std::int64_t update) const {
  const std::int64_t version = gradient.theta_version();
  if (version < 0 || version > update || update - version > staleness_bound_) return Refusal::stale;
  const bool known = gradient.stream() < streams_;
  if (deterministic_ && known && order_.has(gradient.stream())) return Refusal::duplicate;
  if (gradient.outcome() == proto::Gradient::dead_features) return Refusal::dead_features;
  if (gradient.outcome() != proto::Gradient::finished) return Refusal::not_finite;
  const bool known_dataset = datasets_.empty() || datasets_.count(gradient.dataset()) > 0;
  if (floats != parameters_ || !known || !known_dataset) return Refusal::layout;
  if (!std::isfinite(gradient.norm()) || !std::isfinite(gradient.meta_objective()))
    return Refusal::not_finite;
  return gradient.norm() > reject_norm_ ? Refusal::norm : Refusal::none;
}

Verdict GradientIntake::take(int from, const proto::Gradient& gradient, net::FloatView floats,
                             std::int64_t update) {
  batch_.watch(DomainCosines::watches(update) ? &cosines_ : nullptr);
  Refusal cause = refusal(gradient, floats.size(), update);
  if (cause == Refusal::none) {
    GradientNote note{from,
                      gradient.meta_objective(),
                      gradient.norm(),
                      update - gradient.theta_version(),
                      gradient.dataset(),
                      domain_of(gradient)};
    cause = deterministic_ ? order_.put(gradient.stream(), floats, std::move(note), batch_)
                           : batch_.add(floats, std::move(note));
  }
  const bool of_this_update =
      cause != Refusal::stale && cause != Refusal::duplicate && gradient.stream() < streams_;
  if (cause == Refusal::none || !deterministic_ || !of_this_update) return {cause, false};
  order_.skip(gradient.stream(), batch_);
  zeros_.emplace_back(from, cause);
  return {cause, true};
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
