#include "common/evaluation/baselines/trained_encoder.h"

#include <cmath>
#include <numeric>

#include "common/base/error.h"
#include "common/evaluation/baselines/eigen.h"

namespace outerloop::baselines {
namespace {

/// The mean of the last 100 values added.
class RunningLoss {
 public:
  void add(double loss) {
    if (last_.size() < kKept) last_.push_back(loss);
    last_[next_] = loss;
    next_ = (next_ + 1) % kKept;
  }
  double mean() const {
    return std::accumulate(last_.begin(), last_.end(), 0.0) / static_cast<double>(last_.size());
  }

 private:
  static constexpr std::size_t kKept = 100;
  std::vector<double> last_;
  std::size_t next_ = 0;
};

}  // namespace

std::vector<rule::Matrix> TrainedEncoder::features(const rule::RuleOptions& rule,
                                                   const rule::Matrix& unlabelled,
                                                   const std::vector<const rule::Matrix*>& x) const {
  const auto statistics = rule::frozen_statistics(rule, architecture, phi, unlabelled);
  std::vector<rule::Matrix> result;
  for (const auto* rows : x) {
    auto features = rule::features(rule, architecture, phi, statistics, *rows);
    if (!head.empty()) {
      const auto outputs = static_cast<std::int64_t>(head.size()) / (features.columns + 1);
      const ConstRows weights(head.data(), features.columns + 1, outputs);
      const Rows<float> y =
          (rows_of(features) * weights.topRows(features.columns)).rowwise() + weights.row(features.columns);
      features = matrix_of(y);
    }
    result.push_back(std::move(features));
  }
  return result;
}

std::vector<TrainedEncoder> train_encoder(const std::string& method, const std::vector<std::int64_t>& steps,
                                          const std::function<double(std::int64_t)>& one_step,
                                          const std::function<TrainedEncoder()>& snapshot) {
  std::vector<TrainedEncoder> result;
  RunningLoss loss;
  for (std::int64_t step = 0; result.size() < steps.size();) {
    const double value = one_step(step);
    if (!std::isfinite(value))
      throw Error(method + ": the loss is not finite after " + std::to_string(step) + " steps");
    loss.add(value);
    if (++step != steps[result.size()]) continue;
    result.push_back(snapshot());
    result.back().steps = step;
    result.back().loss = loss.mean();
  }
  return result;
}

}  // namespace outerloop::baselines
