#pragma once
// Causes for rejecting a gradient, and their names in result.json, metrics.jsonl and checkpoints.

namespace outerloop::coordinator {

enum class Refusal {
  none,           ///< accepted
  stale,          ///< computed at a θ that is too old, or in an earlier segment
  duplicate,      ///< deterministic mode: this update already has one of its stream
  dead_features,  ///< the base model's features are all zero
  not_finite,     ///< its outcome, an element, its norm or its meta-objective
  layout,         ///< wrong number of parameters, or unknown stream or dataset
  norm,           ///< above reject_norm, or above clip.gradient_norm as received
};
const char* name_of(Refusal cause);

}  // namespace outerloop::coordinator
