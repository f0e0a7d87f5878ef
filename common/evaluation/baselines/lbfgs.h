#pragma once
// L-BFGS, a minimiser of smooth convex functions: Nocedal and Wright, Numerical Optimization (2006),
// algorithms 7.4 and 7.5, with a backtracking line search.
#include <Eigen/Core>
#include <cmath>
#include <cstdint>
#include <deque>

namespace outerloop::baselines {

/// The recent steps and gradient changes kept by the method.
class LbfgsMemory {
 public:
  void add(const Eigen::VectorXd& step, const Eigen::VectorXd& change) {
    const double curvature = step.dot(change);
    if (!(curvature > 1e-14 * change.squaredNorm())) return;  // rounding: no curvature to learn from
    pairs_.push_back({step, change, 1.0 / curvature});
    if (pairs_.size() > kPairs) pairs_.pop_front();
  }

  /// −H g with the approximate inverse Hessian; the first step has length at most one.
  Eigen::VectorXd direction(const Eigen::VectorXd& gradient) const {
    Eigen::VectorXd d = -gradient;
    if (pairs_.empty()) return d / std::max(1.0, gradient.norm());
    Eigen::VectorXd alpha(static_cast<Eigen::Index>(pairs_.size()));
    for (Eigen::Index i = alpha.size(); i-- > 0;) {
      const Pair& p = pairs_[static_cast<std::size_t>(i)];
      alpha[i] = p.inverse_curvature * p.step.dot(d);
      d -= alpha[i] * p.change;
    }
    d *= 1.0 / (pairs_.back().inverse_curvature * pairs_.back().change.squaredNorm());
    for (Eigen::Index i = 0; i < alpha.size(); ++i) {
      const Pair& p = pairs_[static_cast<std::size_t>(i)];
      d += (alpha[i] - p.inverse_curvature * p.change.dot(d)) * p.step;
    }
    return d;
  }

 private:
  static constexpr std::size_t kPairs = 12;
  struct Pair {
    Eigen::VectorXd step, change;
    double inverse_curvature;
  };
  std::deque<Pair> pairs_;
};

/// `f(x, gradient)` returns the value and fills the gradient. Stops if the gradient's norm is below
/// `tolerance`, if rounding prevents further descent, or after `iterations`.
template <typename F>
Eigen::VectorXd minimise(const F& f, Eigen::VectorXd x, double tolerance, int iterations) {
  constexpr double kSufficient = 1e-4;  // Armijo's condition
  Eigen::VectorXd gradient(x.size()), next_gradient(x.size());
  double value = f(x, gradient);
  LbfgsMemory memory;
  for (int i = 0; i < iterations && gradient.norm() > tolerance; ++i) {
    const Eigen::VectorXd direction = memory.direction(gradient);
    const double slope = gradient.dot(direction);
    if (!(slope < 0.0)) break;
    double length = 1.0, next_value = 0.0;
    Eigen::VectorXd next;
    for (int halvings = 0;; ++halvings, length *= 0.5) {
      next = x + length * direction;
      next_value = f(next, next_gradient);
      if (next_value <= value + kSufficient * length * slope) break;
      if (halvings == 40) return x;
    }
    memory.add(next - x, next_gradient - gradient);
    x = next;
    value = next_value;
    gradient.swap(next_gradient);
  }
  return x;
}

}  // namespace outerloop::baselines
