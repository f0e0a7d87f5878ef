#pragma once
// Runs independent pieces of work on several threads.
#include <cstddef>
#include <cstdint>
#include <functional>

namespace outerloop::base {

/// Calls work(thread, i) for i = 0 .. count - 1, concurrently and in any order, on up to `threads` threads:
/// this one is number 0. The first exception stops all threads and is rethrown.
void for_each_index(std::int64_t count, std::int64_t threads,
                    const std::function<void(std::size_t thread, std::int64_t i)>& work);

}  // namespace outerloop::base
