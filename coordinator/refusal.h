#pragma once
// Causes for which a gradient is refused, and their names in result.json, metrics.jsonl and checkpoints.

namespace outerloop::coordinator {

enum class Refusal {
  none,           ///< it is taken
  stale,          ///< of a θ that is too old, or of an earlier segment
  duplicate,      ///< deterministic mode: its stream has given one for this update already
  dead_features,  ///< the base model's features are all zero
  not_finite,     ///< the outcome, a number of the gradient, its norm or its meta-objective
  layout,         ///< of another θ, or of a stream or dataset that does not exist
  norm,           ///< above reject_norm, or above clip.gradient_norm as it came
};
const char* name_of(Refusal cause);

}  // namespace outerloop::coordinator
