#include "common/evaluation/draw_pool.h"

#include <algorithm>
#include <mutex>

#include "common/base/parallel.h"

namespace outerloop::evaluation {

DrawPool::DrawPool(const RuleUnderTest& rule, const FewShotData& data, const FewShotOptions& options,
                   std::int64_t total, DrawProgress progress)
    : total_(total), progress_(std::move(progress)), prepared_(prepare_few_shot(data, options)) {
  const auto threads = std::clamp<std::int64_t>(options.threads, 1, std::max<std::int64_t>(1, total));
  for (std::int64_t i = 0; i < threads; ++i) {
    engines_.push_back(rule.make_engine());
    sets_.push_back(std::make_unique<MethodSet>(*engines_.back(), rule, data, options, prepared_));
  }
}

void DrawPool::for_each_draw(std::int64_t first, std::int64_t count,
                             const std::function<void(const MethodSet&, std::uint32_t)>& work) {
  std::mutex mutex;
  base::for_each_index(count, static_cast<std::int64_t>(sets_.size()),
                       [&](std::size_t thread, std::int64_t i) {
                         work(*sets_[thread], static_cast<std::uint32_t>(first + i));
                         const std::lock_guard<std::mutex> lock(mutex);
                         progress_(++done_, total_);
                       });
}

}  // namespace outerloop::evaluation
