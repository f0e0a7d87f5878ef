#pragma once
// The coordinator as a state machine: frames in, answers out. It knows no MPI, no files and no clock; those
// are its caller's (see event_loop.h).
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/net/transport.h"
#include "common/store/files.h"
#include "coordinator/adam.h"
#include "coordinator/gradient_batch.h"
#include "coordinator/membership.h"
#include "coordinator/smoothed_objective.h"
#include "outerloop/messages.pb.h"

namespace outerloop::coordinator {

inline constexpr std::uint32_t kProtocol = 1;

struct CoordinatorOptions {
  std::int64_t updates = 0;  ///< 0: no limit
  double seconds = 0.0;      ///< 0: no limit
  std::int64_t batch = 8;    ///< gradients per update
  std::int64_t streams = 1;
  std::int64_t staleness_bound = 2;  ///< updates
  double reject_norm = 1e4;
  double batch_norm_clip = 0.0;  ///< 0: not
  AdamOptions adam;
  double average_decay = 0.0;         ///< 0: no average of θ is kept
  std::int64_t checkpoint_every = 0;  ///< updates; 0: only at the end
  std::int64_t max_failures = 16;     ///< per hour
  double deadline = 300.0;            ///< seconds of silence after which a worker counts as lost
};

/// Why a run ended; see system documentation of result.json.
enum class StopReason { none, updates, seconds, signal, failures, disk, diverged };
const char* stop_reason_name(StopReason reason);

/// One update, as the outside hears of it.
struct UpdateRecord {
  std::int64_t update = 0;
  double seconds = 0.0;
  double meta_objective_smooth = 0.0;  ///< running mean, each dataset counted alike
  double learning_rate = 0.0;
  double gradients_per_second = 0.0;
  std::int64_t gradients = 0;  ///< accepted so far, over resumes
  std::map<std::string, std::int64_t> refused;
  BatchSummary batch;
};

/// What the coordinator tells its surroundings.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_update(const UpdateRecord& record) = 0;
  /// A checkpoint is complete in memory and wants to be kept.
  virtual void on_checkpoint(const store::Checkpoint& checkpoint) = 0;
  virtual void on_warning(const std::string& line) = 0;
};

struct Answer {
  int to = 0;
  net::Frame frame;
};

class Coordinator {
 public:
  /// Goes on from `start` (θ, Adam, history, counters, streams); `workers` are the ranks that will say hello.
  Coordinator(CoordinatorOptions options, store::Checkpoint start, const std::vector<int>& workers,
              Observer& observer, double now);

  /// Acts on the bytes of one frame. Bytes that are no message are warned of and not answered.
  std::vector<Answer> handle(int from, const std::string& bytes, double now);

  /// To be called at least once a second: deadlines, the time limit.
  void tick(double now);

  /// Every worker is told to stop with its next answer.
  void request_stop(StopReason reason);

  /// All workers have said farewell or are lost.
  bool finished() const { return stop_reason_ != StopReason::none && membership_.active() == 0; }

  /// To be sent after the final checkpoint was written: lets the workers that said farewell go.
  std::vector<Answer> release() const;

  StopReason stop_reason() const { return stop_reason_; }
  std::int64_t update() const { return state_.rule.update; }
  double seconds(double now) const { return start_seconds_ + (now - start_); }
  std::int64_t gradients() const { return counter("gradients"); }
  std::int64_t workers_lost() const { return membership_.lost(); }
  std::map<std::string, std::int64_t> refused() const;
  const Membership& membership() const { return membership_; }

  /// Everything a resumed run needs, as of now.
  store::Checkpoint snapshot() const;

 private:
  void on_gradient(int from, Member& member, const proto::Gradient& gradient,
                   const std::vector<float>& floats, double now);
  std::string refusal(const proto::Gradient& gradient, const std::vector<float>& floats) const;
  void apply_batch(double now);
  void remember_history(const UpdateRecord& record);
  void keep_streams(int from, const proto::WorkerMessage& message);
  void checkpoint_if_complete();
  void lose(int worker, const std::string& why, double now);
  Answer answer(int to, Member& member);
  std::int64_t counter(const std::string& name) const;

  CoordinatorOptions options_;
  Observer& observer_;
  store::Checkpoint state_;
  SmoothedObjective smooth_;
  Adam adam_;
  GradientBatch batch_;
  Membership membership_;
  std::vector<float> theta_floats_;  ///< θ of the current version, as it travels
  double start_ = 0.0;
  double start_seconds_ = 0.0;
  double now_ = 0.0;
  std::int64_t start_gradients_ = 0;
  std::int64_t last_checkpoint_ = 0;
  bool checkpoint_under_way_ = false;
  std::set<int> awaited_;  ///< workers whose streams the checkpoint under way still lacks
  std::map<std::uint32_t, store::StreamState> streams_;
  std::vector<double> failure_times_;
  StopReason stop_reason_ = StopReason::none;
};

/// Between the wire's message and the store's struct.
store::StreamState from_message(const proto::StreamState& message);
proto::StreamState to_message(const store::StreamState& state);

}  // namespace outerloop::coordinator
