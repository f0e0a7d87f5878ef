#include "common/evaluation/draw_pool.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

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
  std::atomic<std::int64_t> next{0};
  std::exception_ptr failure;
  std::mutex mutex;
  const auto loop = [&](const MethodSet& set) {
    try {
      for (std::int64_t i = next++; i < count; i = next++) {
        work(set, static_cast<std::uint32_t>(first + i));
        const std::lock_guard<std::mutex> lock(mutex);
        progress_(++done_, total_);
      }
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex);
      if (!failure) failure = std::current_exception();
      next = count;
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < sets_.size(); ++i) threads.emplace_back(loop, std::cref(*sets_[i]));
  loop(*sets_.front());
  for (auto& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace outerloop::evaluation
