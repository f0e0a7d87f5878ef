#pragma once
// Training loop, starting point and result of the baselines that train an encoder (VAE, masked contrastive,
// supervised).
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/rule/base_model.h"
#include "common/rule/phi.h"

namespace outerloop::baselines {

/// The initial base model of a draw: every method that trains one starts from the same function.
struct EncoderStart {
  const rule::RuleOptions& rule;
  const rule::Architecture& architecture;  ///< its non-linearity must be relu
  const std::vector<double>& phi;          ///< inputs in the order of the examples' columns
};

/// An encoder after the given number of training steps.
struct TrainedEncoder {
  std::int64_t steps = 0;
  double loss = 0.0;  ///< mean over the last steps (at most 100 of them)
  rule::Architecture architecture;
  std::vector<double> phi;
  std::vector<float>
      head;  ///< of a linear layer on top, [units + 1, outputs] with the bias last; may be empty

  /// Features of the rows of `x`, with batch norm's statistics frozen over `unlabelled`.
  std::vector<rule::Matrix> features(const rule::RuleOptions& rule, const rule::Matrix& unlabelled,
                                     const std::vector<const rule::Matrix*>& x) const;
};

/// Trains: calls `one_step(step)`, which returns its loss, from step 0 on, and keeps the result of
/// `snapshot()` after each number in `steps`, which are ascending. Throws Error that names the method where a
/// loss is not finite.
std::vector<TrainedEncoder> train_encoder(const std::string& method, const std::vector<std::int64_t>& steps,
                                          const std::function<double(std::int64_t)>& one_step,
                                          const std::function<TrainedEncoder()>& snapshot);

}  // namespace outerloop::baselines
