#pragma once
// The outer optimizer: Adam (Kingma and Ba 2015, algorithm 1) with a linear warm-up and a cosine decay
// (Loshchilov and Hutter 2017).
#include <cstdint>
#include <vector>

namespace outerloop::coordinator {

/// No defaults here; they are in config.proto.
struct AdamOptions {
  double learning_rate = 0.0;
  double beta1 = 0.0;
  double beta2 = 0.0;
  double epsilon = 0.0;             ///< above 0
  std::int64_t warmup_updates = 0;  ///< updates over which the learning rate rises to its value
  std::int64_t decay_updates = 0;   ///< update from which the rate is `final_learning_rate`; 0: no decay
  double final_learning_rate = 0.0;
};

class Adam {
 public:
  Adam(AdamOptions options, std::size_t parameters);

  /// θ ← θ − α m̂ / (√v̂ + ε). θ is rounded to float32, the precision of files and messages.
  void update(std::vector<double>& theta, const std::vector<double>& gradient);

  /// The learning rate of the next update: α · factor, with warm-up and decay.
  double learning_rate() const;

  /// Scales all later learning rates; set by a step back.
  void set_factor(double factor) { factor_ = factor; }

  /// Moments [parameters] and the number of updates so far, as saved in checkpoints.
  const std::vector<double>& m() const { return m_; }
  const std::vector<double>& v() const { return v_; }
  std::int64_t step() const { return step_; }
  void restore(std::vector<double> m, std::vector<double> v, std::int64_t step);

 private:
  AdamOptions options_;
  std::vector<double> m_;
  std::vector<double> v_;
  std::int64_t step_ = 0;
  double factor_ = 1.0;
};

}  // namespace outerloop::coordinator
