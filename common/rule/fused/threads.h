#pragma once
// Thread pool of one engine: runs the parts of a loop in parallel.
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace outerloop::rule::fused {

/// Threads that wait for work, created once. Only one caller at a time; work must not start a nested loop.
class ThreadPool {
 public:
  /// `threads` includes the caller's own: 1 creates no thread. Throws Error where the system cannot create
  /// one.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(others_.size()) + 1; }

  /// Calls f(first, last, thread) for ranges first .. last − 1 until each of 0 .. count − 1 has been computed
  /// once, then returns. `thread` is 0 .. threads() − 1, and no two concurrent calls share one. The ranges
  /// are unspecified, so the results of f must not depend on them. If f throws, parts not yet begun are
  /// skipped, and one of the exceptions reaches the caller. Allocates nothing.
  template <class F>
  void for_blocks(std::int64_t count, const F& f) {
    if (count <= 0) return;
    if (others_.empty() || count == 1) {
      f(std::int64_t{0}, count, 0);
      return;
    }
    run(count, &f, [](const void* context, std::int64_t first, std::int64_t last, int thread) {
      (*static_cast<const F*>(context))(first, last, thread);
    });
  }

 private:
  using Call = void (*)(const void* context, std::int64_t first, std::int64_t last, int thread);

  void run(std::int64_t count, const void* context, Call call);
  void work(int thread);
  void take_parts(int thread);
  void wait_for_round(std::uint64_t seen);
  void stop();

  // The current loop; changed only while no thread works on it.
  Call call_ = nullptr;
  const void* context_ = nullptr;
  std::int64_t count_ = 0, chunk_ = 1;
  alignas(64) std::atomic<std::int64_t> next_{0};    ///< first part not yet taken
  alignas(64) std::atomic<std::uint64_t> round_{0};  ///< counts loops; waiting threads watch it
  alignas(64) std::atomic<int> working_{0};          ///< of the other threads

  std::mutex mutex_;  ///< guards the members below, and changes of round_ and working_
  std::condition_variable begun_, ended_;
  bool open_ = false;  ///< the current loop still admits threads
  bool stop_ = false;
  int asleep_ = 0;
  std::exception_ptr exception_;
  std::vector<std::thread> others_;
};

}  // namespace outerloop::rule::fused
