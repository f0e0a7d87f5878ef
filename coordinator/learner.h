#pragma once
// θ and the state of meta-training: Adam, the running average of θ, history and counters. One apply() is one
// update.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/store/files.h"
#include "coordinator/adam.h"
#include "coordinator/gradient_batch.h"
#include "coordinator/refusal.h"
#include "coordinator/smoothed_objective.h"
#include "coordinator/step_back.h"

namespace outerloop::coordinator {

/// Gradients of one worker's tasks since this start, net of rollbacks.
struct Tally {
  std::int64_t gradients = 0;                   ///< applied
  std::map<std::string, std::int64_t> refused;  ///< by cause
};

/// One update, for the log and the progress line.
struct UpdateRecord {
  std::int64_t update = 0;
  double seconds = 0.0;                ///< of meta-training, over resumes
  double meta_objective_smooth = 0.0;  ///< running mean, each dataset weighted equally
  std::map<std::string, double> meta_objective_smooth_of_domain;  ///< running mean
  /// Of the window that ends with this update, if any (DomainCosines).
  std::map<std::string, double> domain_cosines;
  double learning_rate = 0.0;
  std::optional<std::int64_t> stepped_back_to;  ///< θ is again that of this update
  double gradients_per_second = 0.0;
  std::int64_t gradients = 0;                                       ///< applied so far, over resumes
  std::map<std::string, std::int64_t> refused;                      ///< by cause, over resumes
  std::map<int, std::map<std::string, std::int64_t>> refused_from;  ///< by worker and cause, since this start
  BatchSummary batch;
};

/// Counter of a checkpoint: the newest update whose evaluation is complete; absent before the first.
inline constexpr const char* kEvaluatedUpdate = "evaluated_update";

/// Whether the run keeps the θ of `update`: the rounded powers 10^(j / per_decade), j = 0, 1, ...
bool is_snapshot(std::int64_t update, std::int64_t per_decade);

class Learner {
 public:
  /// Continues from `start`: θ, Adam, average, history, counters. `average_decay` 0: no average.
  /// `group`: tasks per stream; running means are then over `group` times as many gradients as with one
  /// task.
  Learner(const AdamOptions& adam, double average_decay, const StepBackOptions& step_back,
          store::Checkpoint start, std::int64_t group = 1);

  std::int64_t update() const { return state_.rule.update; }
  std::size_t parameters() const { return state_.rule.theta.size(); }
  /// θ as sent to workers.
  const std::vector<float>& theta() const { return floats_; }
  bool finite() const;

  /// One step of Adam along `mean` [parameters]. Completes `record`, whose batch and seconds are set, and
  /// appends it to the history. `notes` belong to the gradients in `mean`.
  void apply(const std::vector<double>& mean, const std::vector<GradientNote>& notes, UpdateRecord& record);

  /// Counts a gradient of `worker` as rejected.
  void refuse(int worker, Refusal cause);
  void count_lost_worker() { ++state_.counters["workers_lost"]; }
  /// The evaluation of this update is complete; a resumed run need not repeat it.
  void note_evaluated(std::int64_t update) { state_.counters[kEvaluatedUpdate] = update; }
  std::int64_t count(const std::string& counter) const;
  std::map<std::string, std::int64_t> refused() const;
  const std::map<int, Tally>& tallies() const { return tallies_; }

  /// By column; one row per update.
  const SmoothedObjective::History& history() const { return state_.history; }

  /// The contents of rule.h5 at this moment. The first worker's hello may fill in its engine.
  store::RuleFile& rule() { return state_.rule; }

  /// A checkpoint without streams and seconds.
  store::Checkpoint snapshot() const;

  /// A state to return to.
  struct Mark {
    store::Checkpoint state;  ///< without history
    std::size_t history_length = 0;
    std::map<int, Tally> tallies;
  };
  Mark mark() const;
  /// Undoes all updates since `mark`. Lost workers stay counted.
  void rewind(const Mark& mark);

 private:
  void watch(UpdateRecord& record);
  void restore(const store::SafePoint& point);
  store::Checkpoint moments_into(store::Checkpoint checkpoint) const;
  void set_floats();
  void set_learning_rate_factor();
  void set_smoothed();

  AdamOptions adam_options_;
  double average_decay_;
  StepBackOptions step_back_options_;
  store::Checkpoint state_;
  SmoothedObjective smooth_;          ///< by dataset
  SmoothedObjective domains_smooth_;  ///< by domain
  Adam adam_;
  StepBack step_back_;
  std::vector<float> floats_;
  std::map<int, Tally> tallies_;
};

}  // namespace outerloop::coordinator
