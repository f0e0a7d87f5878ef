// Work on several threads: each index once, and the first exception.
#include <stdexcept>
#include <vector>

#include "common/base/parallel.h"
#include "tests/catch.h"

using outerloop::base::for_each_index;

TEST_CASE("each index is worked on once, by a thread of those that were asked for") {
  for (const int threads : {1, 2, 7}) {
    std::vector<int> times(5, 0);
    std::vector<std::size_t> by(5, 99);
    for_each_index(5, threads, [&](std::size_t thread, std::int64_t i) {
      ++times[static_cast<std::size_t>(i)];
      by[static_cast<std::size_t>(i)] = thread;
    });
    CHECK(times == std::vector<int>(5, 1));
    for (const auto thread : by) CHECK(thread < static_cast<std::size_t>(threads));
  }
  for_each_index(0, 3, [](std::size_t, std::int64_t) { throw std::runtime_error("called"); });
}

TEST_CASE("an exception on any thread reaches the caller") {
  for (const int threads : {1, 3})
    CHECK_THROWS_WITH(for_each_index(20, threads,
                                     [](std::size_t, std::int64_t i) {
                                       if (i == 7) throw std::runtime_error("seven");
                                     }),
                      "seven");
}
