#pragma once
// Thread pool of one engine: shares out the parts of a loop.
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace outerloop::rule::fused {

/// Threads that wait for work, made once. For one caller at a time; work may not hand out work of its own.
class ThreadPool {
 public:
  /// `threads` counts the caller's own: one makes no other. Throws Error where the system refuses one.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(others_.size()) + 1; }

  /// Calls f(first, last, thread) until every part first .. last − 1 of 0 .. count − 1 has been computed
  /// once, and returns then. `thread` is 0 .. threads() − 1, and only one call at a time has it. Which parts
  /// go together is left open, so nothing that f computes may depend on it. Where f throws, parts that nobody
  /// has begun are left out, and one of the exceptions reaches the caller. Allocates nothing.
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

  // The loop in hand; changed only while nobody works on it.
  Call call_ = nullptr;
  const void* context_ = nullptr;
  std::int64_t count_ = 0, chunk_ = 1;
  alignas(64) std::atomic<std::int64_t> next_{0};    ///< first part that nobody has
  alignas(64) std::atomic<std::uint64_t> round_{0};  ///< counts loops; those who wait look at it
  alignas(64) std::atomic<int> working_{0};          ///< of the other threads

  std::mutex mutex_;  ///< of what follows, and of changes of round_ and working_
  std::condition_variable begun_, ended_;
  bool open_ = false;  ///< the loop in hand still takes threads in
  bool stop_ = false;
  int asleep_ = 0;
  std::exception_ptr exception_;
  std::vector<std::thread> others_;
};

}  // namespace outerloop::rule::fused
