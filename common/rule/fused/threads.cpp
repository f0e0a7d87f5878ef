#include "common/rule/fused/threads.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <string>
#include <system_error>

#include "common/base/error.h"
#include "hwy/cache_control.h"

namespace outerloop::rule::fused {
namespace {

/// Polls before a waiting thread goes to sleep: about 20 microseconds, longer than most gaps between two
/// loops and shorter than a wake-up.
constexpr int kLooks = 1000;

/// Approximate number of pieces per thread: more than one, so that a delayed thread leaves work to others.
constexpr std::int64_t kPiecesPerThread = 2;

template <class Condition>
bool look_for(const Condition& condition) {
  for (int look = 0; look < kLooks; ++look) {
    if (condition()) return true;
    hwy::Pause();
  }
  return condition();
}

/// Signals stay with the threads that existed before: a program's main thread may sleep until a signal wakes
/// it.
class BlockSignals {
 public:
  BlockSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockSignals(const BlockSignals&) = delete;
  BlockSignals& operator=(const BlockSignals&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

ThreadPool::ThreadPool(int threads) {
  if (threads <= 1) return;
  const BlockSignals block;
  others_.reserve(static_cast<std::size_t>(threads) - 1);
  try {
    for (int i = 1; i < threads; ++i) others_.emplace_back(&ThreadPool::work, this, i);
  } catch (const std::system_error& error) {
    const auto made = others_.size() + 1;
    stop();
    throw Error("engine.threads: " + std::to_string(threads) +
                " threads are too many for this system, which made " + std::to_string(made) + " (" +
                error.what() + "); use fewer");
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
    ++round_;
  }
  begun_.notify_all();
  for (auto& other : others_) other.join();
  others_.clear();
}

/// One loop. A late thread finds it closed, so no thread waits for one that has not begun.
void ThreadPool::run(std::int64_t count, const void* context, Call call) {
  bool wake = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    call_ = call;
    context_ = context;
    count_ = count;
    chunk_ = std::max(std::int64_t{1}, count / (kPiecesPerThread * threads()));
    next_ = 0;
    exception_ = nullptr;
    open_ = true;
    ++round_;
    wake = asleep_ > 0;
  }
  if (wake) begun_.notify_all();
  take_parts(0);

  std::exception_ptr exception;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    open_ = false;
  }
  const auto over = [this] { return working_ == 0; };
  look_for(over);
  {
    std::unique_lock<std::mutex> lock(mutex_);
    ended_.wait(lock, over);
    std::swap(exception, exception_);
  }
  if (exception) std::rethrow_exception(exception);
}

void ThreadPool::take_parts(int thread) {
  try {
    for (;;) {
      const std::int64_t first = next_.fetch_add(chunk_);
      if (first >= count_) return;
      call_(context_, first, std::min(count_, first + chunk_), thread);
    }
  } catch (...) {
    next_ = count_;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!exception_) exception_ = std::current_exception();
  }
}

/// Returns once there is a newer loop than `seen`.
void ThreadPool::wait_for_round(std::uint64_t seen) {
  const auto newer = [&] { return round_ != seen; };
  if (look_for(newer)) return;
  std::unique_lock<std::mutex> lock(mutex_);
  ++asleep_;
  begun_.wait(lock, newer);
  --asleep_;
}

/// Main function of a pool thread.
void ThreadPool::work(int thread) {
  for (std::uint64_t seen = 0;;) {
    wait_for_round(seen);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      seen = round_;
      if (stop_) return;
      if (!open_) continue;
      ++working_;
    }
    take_parts(thread);
    bool last = false;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      last = --working_ == 0;
    }
    if (last) ended_.notify_one();
  }
}

}  // namespace outerloop::rule::fused
