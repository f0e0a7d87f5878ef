#include "common/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace outerloop::base {

void for_each_index(std::int64_t count, std::int64_t threads,
                    const std::function<void(std::size_t thread, std::int64_t i)>& work) {
  std::atomic<std::int64_t> next{0};
  std::exception_ptr failure;
  std::mutex mutex;
  const auto loop = [&](std::size_t thread) {
    try {
      for (std::int64_t i = next++; i < count; i = next++) work(thread, i);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex);
      if (!failure) failure = std::current_exception();
      next = count;
    }
  };
  std::vector<std::thread> others;
  for (std::int64_t i = 1; i < std::min(threads, count); ++i)
    others.emplace_back(loop, static_cast<std::size_t>(i));
  loop(0);
  for (auto& other : others) other.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace outerloop::base
