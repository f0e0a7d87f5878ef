#include "worker/baselines/trained_encoder.h"

#include <numeric>

#include "worker/baselines/eigen.h"

namespace outerloop::baselines {

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

void RunningLoss::add(double loss) {
  constexpr std::size_t kKept = 100;
  if (last_.size() < kKept) last_.push_back(loss);
  last_[next_] = loss;
  next_ = (next_ + 1) % kKept;
}

double RunningLoss::mean() const {
  if (last_.empty()) return 0.0;
  return std::accumulate(last_.begin(), last_.end(), 0.0) / static_cast<double>(last_.size());
}

}  // namespace outerloop::baselines
