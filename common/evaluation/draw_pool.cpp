#include "common/evaluation/draw_pool.h"

#include <algorithm>
#include <mutex>

#include "common/base/error.h"
#include "common/base/parallel.h"

namespace outerloop::evaluation {
namespace {

std::int64_t blocks_of(std::int64_t draws, std::int64_t lanes) { return (draws + lanes - 1) / lanes; }

}  // namespace

DrawPool::DrawPool(const RuleUnderTest& rule, const FewShotData& data, const FewShotOptions& options,
                   std::int64_t total, DrawProgress progress)
    : total_(total),
      lanes_(options.lanes),
      progress_(std::move(progress)),
      prepared_(prepare_few_shot(data, options)) {
  OUTERLOOP_CHECK(lanes_ >= 1, "blocks of " + std::to_string(lanes_) + " draws");
  const auto threads =
      std::clamp<std::int64_t>(options.threads, 1, std::max<std::int64_t>(1, blocks_of(total, lanes_)));
  for (std::int64_t i = 0; i < threads; ++i) {
    engines_.push_back(rule.make_engine());
    sets_.push_back(std::make_unique<MethodSet>(*engines_.back(), rule, data, options, prepared_));
  }
}

void DrawPool::for_each_block(std::int64_t first, std::int64_t count,
                              const std::function<void(const MethodSet&, const std::vector<Draw>&)>& work) {
  std::mutex mutex;
  base::for_each_index(blocks_of(count, lanes_), static_cast<std::int64_t>(sets_.size()),
                       [&](std::size_t thread, std::int64_t block) {
                         const MethodSet& set = *sets_[thread];
                         const std::int64_t begin = block * lanes_, end = std::min(begin + lanes_, count);
                         std::vector<Draw> draws;
                         for (std::int64_t i = begin; i < end; ++i)
                           draws.push_back(set.draws().sample(static_cast<std::uint32_t>(first + i)));
                         work(set, draws);
                         const std::lock_guard<std::mutex> lock(mutex);
                         progress_(done_ += end - begin, total_);
                       });
}

}  // namespace outerloop::evaluation
