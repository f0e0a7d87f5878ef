#include "coordinator/adam.h"

#include <algorithm>
#include <cmath>

#include "common/base/error.h"

namespace outerloop::coordinator {
namespace {

constexpr double kPi = 3.14159265358979323846;

}  // namespace

Adam::Adam(AdamOptions options, std::size_t parameters) : options_(options), m_(parameters), v_(parameters) {
  OUTERLOOP_CHECK(options_.epsilon > 0.0, "Adam's epsilon " + std::to_string(options_.epsilon));
}

double Adam::learning_rate() const {
  const auto next = static_cast<double>(step_ + 1);
  if (next < static_cast<double>(options_.warmup_updates))
    return factor_ * options_.learning_rate * next / static_cast<double>(options_.warmup_updates);
  if (options_.decay_updates == 0) return factor_ * options_.learning_rate;
  const auto start = static_cast<double>(options_.warmup_updates);
  const double span = std::max(1.0, static_cast<double>(options_.decay_updates) - start);
  const double done = std::clamp((next - start) / span, 0.0, 1.0);
  const double left = 0.5 * (1.0 + std::cos(kPi * done));
  return factor_ *
         (options_.final_learning_rate + (options_.learning_rate - options_.final_learning_rate) * left);
}

void Adam::update(std::vector<double>& theta, const std::vector<double>& gradient) {
  OUTERLOOP_CHECK_EQ(theta.size(), m_.size());
  OUTERLOOP_CHECK_EQ(gradient.size(), m_.size());
  const double alpha = learning_rate();
  ++step_;
  const double correction1 = 1.0 - std::pow(options_.beta1, static_cast<double>(step_));
  const double correction2 = 1.0 - std::pow(options_.beta2, static_cast<double>(step_));
  for (std::size_t i = 0; i < theta.size(); ++i) {
    m_[i] = options_.beta1 * m_[i] + (1.0 - options_.beta1) * gradient[i];
    v_[i] = options_.beta2 * v_[i] + (1.0 - options_.beta2) * gradient[i] * gradient[i];
    const double change = alpha * (m_[i] / correction1) / (std::sqrt(v_[i] / correction2) + options_.epsilon);
    theta[i] = static_cast<float>(theta[i] - change);
  }
}

void Adam::restore(std::vector<double> m, std::vector<double> v, std::int64_t step) {
  OUTERLOOP_CHECK_EQ(m.size(), m_.size());
  OUTERLOOP_CHECK_EQ(v.size(), v_.size());
  m_ = std::move(m);
  v_ = std::move(v);
  step_ = step;
}

}  // namespace outerloop::coordinator
