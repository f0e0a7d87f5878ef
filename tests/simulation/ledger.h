#pragma once
// Invariants that must hold after every event, checked by a second, much simpler account of the run: it
// decides the fate of every delivered gradient, repeats every update, and tracks the position of every
// stream.
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "common/data/task.h"
#include "common/evaluation/evaluator.h"
#include "coordinator/coordinator.h"
#include "tests/simulation/plain_step_back.h"
#include "tests/simulation/scenario.h"

namespace outerloop::simulation {

/// Thrown when an invariant is violated.
struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Ledger : public coordinator::Observer {
 public:
  /// `start` is the coordinator's initial state; `keep` writes a checkpoint. `best` is the best of earlier
  /// evaluations.
  Ledger(const Scenario& scenario, const data::TaskDistribution& tasks,
         const evaluation::Evaluator& evaluator, const store::Checkpoint& start,
         const std::optional<coordinator::BestRule>& best,
         std::function<void(const store::Checkpoint&)> keep);
  void watch(const coordinator::Coordinator& coordinator) { coordinator_ = &coordinator; }

  /// Call these around Coordinator::handle.
  void before(int from, const proto::WorkerMessage& message, const std::vector<float>& floats);
  void after();
  /// Call this before a progress message is handled, instead of before() and after().
  void note_progress(int from, const proto::WorkerMessage& message);
  /// Checks each answer: no piece of an evaluation is at two workers, or done twice.
  void answered(const coordinator::Answer& answer);
  /// The coordinator has stopped: if it reached its limit undisturbed, every evaluation that was due must
  /// exist.
  void check_end() const;
  std::int64_t evaluations() const { return evaluations_; }
  std::int64_t steps_back() const { return now_.step_back.steps(); }
  /// Call this after everything else that may change the coordinator.
  void check() const;

  /// Checks that the checkpoint holds θ, Adam, the counters and every stream at its position.
  void check_checkpoint(const store::Checkpoint& checkpoint) const;

  void on_update(const coordinator::UpdateRecord& record) override;
  void on_checkpoint(const store::Checkpoint& checkpoint) override;
  void on_rollback(std::int64_t update) override;
  void on_evaluation(const coordinator::EvaluationRecord& record) override;
  void on_warning(const std::string& line) override { warnings_.push_back(line); }
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  using Position = std::pair<std::uint32_t, std::int64_t>;  ///< task, inner steps of it
  /// One lane of it.
  struct Lane {
    std::string cause;  ///< empty: applied
    double meta_objective = 0.0;
  };
  /// A delivered gradient and its fate.
  struct Entry {
    int worker = 0;
    std::string cause;  ///< empty: applied
    std::vector<float> floats;
    std::vector<Lane> lanes;
    Position next;
    std::int64_t begun_at = 0;
  };
  struct Account {
    std::int64_t update = 0;
    std::vector<double> theta;
    std::vector<double> average;
    coordinator::Adam adam;
    PlainStepBack step_back;
    std::map<std::uint32_t, Position> position;      ///< deterministic: at the current θ
    std::map<std::uint32_t, std::int64_t> begun_at;  ///< θ's version at a task's first truncation
    std::map<std::string, std::int64_t> counters;
    std::map<int, coordinator::Tally> tallies;
  };

  void enter();
  std::vector<Lane> lanes_of(const proto::WorkerMessage& message, const std::vector<float>& floats) const;
  void check_position(const proto::Gradient& gradient) const;
  Position next_position(const proto::Gradient& gradient, const std::string& cause) const;
  void count(const Entry& entry);
  void repeat_update();
  void repeat_step_back();
  std::int64_t begun_at(const proto::Gradient& gradient) const;
  void note_evaluated_theta();
  void check_score(const coordinator::EvaluationRecord& record, std::uint32_t dataset) const;
  bool due(std::int64_t update) const;
  std::int64_t count_of(const std::string& name) const;
  void require(bool condition, const std::string& what) const;

  const Scenario& scenario_;
  const data::TaskDistribution& tasks_;
  const evaluation::Evaluator& evaluator_;
  std::function<void(const store::Checkpoint&)> keep_;
  const coordinator::Coordinator* coordinator_ = nullptr;
  bool deterministic_;
  Account now_;
  Account saved_;                         ///< at the last checkpoint
  std::vector<Entry> batch_;              ///< asynchronous: by arrival
  std::map<std::uint32_t, Entry> slots_;  ///< deterministic: by stream
  std::optional<std::int64_t> back_to_;   ///< target of the last update's step back
  std::uint32_t segment_ = 0;
  std::int64_t last_due_ = 0;
  bool due_ = false;  ///< a checkpoint is being collected
  std::map<std::uint32_t, Position> due_position_;
  struct Current {
    int from;
    proto::WorkerMessage message;
    std::vector<float> floats;
    bool ends = false;  ///< θ is final: neither applied nor rejected
  };
  std::optional<Current> current_;
  using Piece = std::tuple<std::int64_t, std::uint32_t, std::uint32_t>;  ///< update, dataset, task
  static Piece key(const proto::Piece& piece) { return {piece.update(), piece.dataset(), piece.task()}; }
  std::map<std::int64_t, std::vector<double>> evaluated_theta_;  ///< by update: the average, if one is kept
  std::map<int, Piece> held_;                                    ///< by worker
  std::set<Piece> done_;
  std::set<std::int64_t> wanted_;  ///< updates with a pending evaluation
  std::optional<coordinator::BestRule> best_;
  std::int64_t evaluations_ = 0;
  bool signalled_ = false;
  std::vector<std::string> warnings_;
};

}  // namespace outerloop::simulation
