#include "worker/prefetch.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <utility>

#include "common/base/parallel.h"

namespace outerloop::worker {
namespace {

/// Steps that follow `stop` stay empty.
Minibatches prepare(const data::TaskDistribution& tasks, const MinibatchRequest& request,
                    std::int64_t threads, const std::atomic<bool>& stop) {
  const auto length = std::max<std::int64_t>(request.length, 0);
  const auto lanes = static_cast<std::int64_t>(request.tasks.size());
  Minibatches data(request.tasks.size());
  for (auto& steps : data) steps.resize(static_cast<std::size_t>(length));
  base::for_each_index(lanes * length, threads, [&](std::size_t, std::int64_t i) {
    if (stop) return;
    const auto lane = static_cast<std::size_t>(i / length);
    const std::int64_t step = i % length;
    data[lane][static_cast<std::size_t>(step)] =
        tasks.step_data(request.tasks[lane], request.steps[lane] + step);
  });
  return data;
}

}  // namespace

bool MinibatchRequest::matches(const MinibatchRequest& other) const {
  const auto same_task = [](const data::Task& a, const data::Task& b) { return a.index == b.index; };
  return stream == other.stream && round == other.round && length == other.length && steps == other.steps &&
         std::equal(tasks.begin(), tasks.end(), other.tasks.begin(), other.tasks.end(), same_task);
}

Minibatches prepare_minibatches(const data::TaskDistribution& tasks, const MinibatchRequest& request,
                                std::int64_t threads) {
  return prepare(tasks, request, threads, false);
}

/// A request and the thread that works on it. The thread uses nothing of a stream: streams move and end.
class Prefetch::Preparation {
 public:
  Preparation(const data::TaskDistribution& tasks, std::int64_t threads, MinibatchRequest request)
      : request_(std::move(request)), result_(std::async(std::launch::async, [this, &tasks, threads] {
          return prepare(tasks, request_, threads, stop_);
        })) {}
  /// Then the destructor of the future waits for the thread, since it is that of std::async.
  ~Preparation() { stop_ = true; }
  Preparation(const Preparation&) = delete;
  Preparation& operator=(const Preparation&) = delete;

  const MinibatchRequest& request() const { return request_; }
  Minibatches result() { return result_.get(); }

 private:
  MinibatchRequest request_;
  std::atomic<bool> stop_{false};
  std::future<Minibatches> result_;  ///< last, so that it is destroyed before what the thread uses
};

Prefetch::Prefetch(const data::TaskDistribution& tasks, std::int64_t threads)
    : tasks_(&tasks), threads_(threads) {}
Prefetch::~Prefetch() = default;
Prefetch::Prefetch(Prefetch&&) noexcept = default;

void Prefetch::begin(MinibatchRequest request) {
  ahead_.reset();  // before the next one begins: one truncation at most
  ahead_ = std::make_unique<Preparation>(*tasks_, threads_, std::move(request));
}

Minibatches Prefetch::take(const MinibatchRequest& request) {
  const auto ahead = std::move(ahead_);
  if (ahead && ahead->request().matches(request)) {
    auto data = ahead->result();
    ++used_;
    return data;
  }
  return prepare_minibatches(*tasks_, request, threads_);
}

}  // namespace outerloop::worker
