#pragma once
// Supervised baseline: the base model trained on the few labelled examples only, with all of them in every
// step.
#include <cstdint>
#include <vector>

#include "common/evaluation/baselines/network.h"
#include "common/evaluation/baselines/trained_encoder.h"

namespace outerloop::baselines {

/// Mean cross-entropy of softmax(scores) [examples, classes]; d_scores: its gradient.
template <typename Real>
Real cross_entropy(const Rows<Real>& scores, const std::vector<std::int32_t>& labels, Rows<Real>& d_scores);

/// Cross-entropy of a linear layer of class scores on the base model's features, trained by Adam with the
/// given learning rate; returns the base model after each of `steps` (ascending, at least one). Throws Error
/// where the loss is not finite.
std::vector<TrainedEncoder> train_supervised(const EncoderStart& start, const rule::Matrix& x,
                                             const std::vector<std::int32_t>& labels, std::int64_t classes,
                                             float learning_rate, const std::vector<std::int64_t>& steps,
                                             const rule::Random& random);

}  // namespace outerloop::baselines
