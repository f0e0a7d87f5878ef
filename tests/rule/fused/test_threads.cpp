// The thread pool on its own.
#include <atomic>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/rule/fused/threads.h"
#include "tests/catch.h"

namespace outerloop::tests {
namespace {

using rule::fused::ThreadPool;

/// Number of times that each part 0 .. count − 1 was computed.
std::vector<int> visits(ThreadPool& pool, std::int64_t count) {
  std::vector<std::atomic<int>> seen(static_cast<std::size_t>(count));
  pool.for_blocks(count, [&](std::int64_t first, std::int64_t last, int thread) {
    if (thread < 0 || thread >= pool.threads()) throw std::logic_error("no such thread");
    for (std::int64_t i = first; i < last; ++i) ++seen[static_cast<std::size_t>(i)];
  });
  return {seen.begin(), seen.end()};
}

}  // namespace

TEST_CASE("every part of a loop is computed once: none, one, fewer than threads, many") {
  for (const int threads : {1, 2, 3, 5}) {
    ThreadPool pool(threads);
    CHECK(pool.threads() == threads);
    for (const std::int64_t count : {0, 1, 2, 3, 4, 7, 16, 100, 1001}) {
      INFO(threads << " threads, " << count << " parts");
      CHECK(visits(pool, count) == std::vector<int>(static_cast<std::size_t>(count), 1));
    }
  }
}

TEST_CASE("loops follow one another, and each sees what the one before has written") {
  ThreadPool pool(3);
  constexpr std::int64_t kParts = 64;
  std::vector<std::int64_t> values(kParts);
  for (int round = 0; round < 5000; ++round)
    pool.for_blocks(kParts, [&](std::int64_t first, std::int64_t last, int) {
      // Data that another thread may have written in the previous loop.
      for (std::int64_t i = first; i < last; ++i) ++values[static_cast<std::size_t>(kParts - 1 - i)];
    });
  CHECK(values == std::vector<std::int64_t>(kParts, 5000));
}

TEST_CASE("two parts that run at once have different thread numbers") {
  ThreadPool pool(4);
  std::vector<std::atomic<int>> inside(4);
  std::atomic<int> clashes{0};
  for (int round = 0; round < 2000; ++round)
    pool.for_blocks(16, [&](std::int64_t, std::int64_t, int thread) {
      auto& mine = inside[static_cast<std::size_t>(thread)];
      if (++mine != 1) ++clashes;
      --mine;
    });
  CHECK(clashes == 0);
}

TEST_CASE("an exception in any part reaches the caller, and the pool goes on") {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (const std::int64_t bad : {0, 1, 30, 99}) {
      std::string said;
      try {
        pool.for_blocks(100, [&](std::int64_t first, std::int64_t last, int) {
          if (bad >= first && bad < last) throw std::runtime_error("part " + std::to_string(bad));
        });
      } catch (const std::runtime_error& error) {
        said = error.what();
      }
      CHECK(said == "part " + std::to_string(bad));
      CHECK(visits(pool, 50) == std::vector<int>(50, 1));
    }
  }
}

TEST_CASE("pools come and go, used or not") {
  for (int i = 0; i < 200; ++i) {
    ThreadPool pool(1 + i % 5);
    if (i % 2 == 0) continue;
    std::atomic<int> parts{0};
    pool.for_blocks(
        20, [&](std::int64_t first, std::int64_t last, int) { parts += static_cast<int>(last - first); });
    CHECK(parts == 20);
  }
}

}  // namespace outerloop::tests
