#pragma once
// Thread pool for the draws of a few-shot evaluation, in blocks: each thread has its own engine and its own
// methods.
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "common/evaluation/few_shot.h"
#include "common/evaluation/few_shot_methods.h"

namespace outerloop::evaluation {

class DrawPool {
 public:
  /// All references must outlive the pool. `total`: the total number of draws, for `progress`.
  DrawPool(const RuleUnderTest& rule, const FewShotData& data, const FewShotOptions& options,
           std::int64_t total, DrawProgress progress);

  /// For everything that does not depend on the draw: names, settings, architecture.
  const MethodSet& methods() const { return *sets_.front(); }
  const FewShotPreparation& prepared() const { return prepared_; }

  /// Calls work(methods of the calling thread, a block of draws) for draws first .. first + count - 1 in
  /// blocks of options.lanes, concurrently and in any order. The first exception stops all threads and is
  /// rethrown.
  void for_each_block(std::int64_t first, std::int64_t count,
                      const std::function<void(const MethodSet&, const std::vector<Draw>&)>& work);

 private:
  std::int64_t total_;
  std::int64_t lanes_;
  DrawProgress progress_;
  FewShotPreparation prepared_;
  std::vector<std::unique_ptr<rule::Engine>> engines_;
  std::vector<std::unique_ptr<MethodSet>> sets_;
  std::int64_t done_ = 0;
};

}  // namespace outerloop::evaluation
