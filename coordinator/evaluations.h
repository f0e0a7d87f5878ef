#pragma once
// Evaluations of θ during meta-training: which θ are being evaluated, the pieces left, the worker of each
// piece, the scores, and the best θ. A piece is one task of one dataset. No messages, files or clock.
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/data/domain.h"
#include "common/store/files.h"

namespace outerloop::coordinator {

/// Role of a dataset in a run.
enum class EvaluationRole {
  train,       ///< used for training; its curve is compared with the held-out one
  validation,  ///< classes held out of training, for the selection of the best θ
  test,        ///< reported only
};
const char* evaluation_role_name(EvaluationRole role);

struct EvaluationDataset {
  std::string name;
  EvaluationRole role = EvaluationRole::test;
  data::Domain domain = data::Domain::images;
};

struct EvaluationOptions {
  std::int64_t every_updates = 0;  ///< 0: never
  std::int64_t tasks = 0;          ///< per dataset
  std::vector<EvaluationDataset> datasets;

  bool enabled() const { return every_updates > 0 && tasks > 0 && !datasets.empty(); }
};

/// One task of one dataset, for the θ of one update.
struct EvaluationPiece {
  std::int64_t update = 0;
  std::uint32_t dataset = 0;  ///< index into EvaluationOptions::datasets
  std::uint32_t task = 0;

  bool operator==(const EvaluationPiece& other) const {
    return update == other.update && dataset == other.dataset && task == other.task;
  }
};

struct EvaluationResult {
  bool finished = false;        ///< false: φ did not stay finite, or all features died
  double meta_objective = 0.0;  ///< of φ after the inner steps
  double accuracy = 0.0;        ///< a fraction; NaN where the rule trains on labels
  double seconds = 0.0;         ///< of a worker
};

/// One dataset's part of a finished evaluation. Means are over its finished tasks; NaN where there are none.
struct EvaluationScore {
  EvaluationDataset dataset;
  double meta_objective = 0.0;
  double accuracy = 0.0;
  std::int64_t tasks = 0;
  std::int64_t failed = 0;  ///< of these tasks
};

/// Mean scores of the datasets of one domain and role, each weighted equally; NaN if all tasks of one have
/// failed.
struct DomainScore {
  data::Domain domain = data::Domain::images;
  EvaluationRole role = EvaluationRole::test;
  double meta_objective = 0.0;
  double accuracy = 0.0;
};

/// Ordered by domain, then by role.
std::vector<DomainScore> scores_by_domain(const std::vector<EvaluationScore>& scores);

struct EvaluationRecord {
  std::int64_t update = 0;
  double seconds = 0.0;  ///< of meta-training at that update, over resumes
  bool average = false;  ///< the running average of θ was evaluated
  std::vector<EvaluationScore> scores;
  /// Mean of the validation datasets' meta-objectives, each weighted equally; NaN if there is none, or if one
  /// of their tasks failed.
  double validation = 0.0;
  bool best = false;            ///< lowest validation so far
  double worker_seconds = 0.0;  ///< total over all pieces
  store::RuleFile rule;         ///< θ and its average at that update
};

/// The θ with the lowest validation meta-objective so far.
struct BestRule {
  std::int64_t update = 0;
  double validation = 0.0;
};

class Evaluations {
 public:
  /// `best`: the best θ so far; `newest`: the newest update whose evaluation is complete.
  explicit Evaluations(EvaluationOptions options, std::optional<BestRule> best = {},
                       std::optional<std::int64_t> newest = {})
      : options_(std::move(options)), best_(best), newest_(newest) {}

  /// θ of this update is to be evaluated.
  bool due(std::int64_t update) const { return options_.enabled() && update % options_.every_updates == 0; }
  /// θ of this update has not been evaluated, and is not being evaluated.
  bool lacks(std::int64_t update) const { return options_.enabled() && newest_ != update && !knows(update); }

  /// Begins to evaluate `rule`, whose update must not be under evaluation: its average if it has one, else θ.
  void begin(store::RuleFile rule, double seconds);
  bool knows(std::int64_t update) const { return open_.count(update) > 0; }

  /// The next piece, oldest update first, for a worker without one; nothing if all are dealt out.
  std::optional<EvaluationPiece> deal(int worker);
  /// The piece assigned to a worker.
  std::optional<EvaluationPiece> piece_of(int worker) const;
  /// Takes the worker's piece back, if it has one; it becomes the next to be dealt out.
  void take_back(int worker);
  /// Records a worker's result for its assigned piece. Returns false and ignores the result for any other
  /// piece.
  bool accept(int worker, const EvaluationPiece& piece, const EvaluationResult& result);

  /// Removes and returns the evaluation that has just become complete. Call it after each accept().
  std::optional<EvaluationRecord> take_finished();
  /// The newest update whose evaluation is complete; nothing before the first.
  std::optional<std::int64_t> newest() const { return newest_; }
  const std::optional<BestRule>& best() const { return best_; }

  /// θ has returned to that of `update`: forgets evaluations of later updates, complete or not, and their
  /// assignments. The best θ stays.
  void go_back_to(std::int64_t update);
  /// Abandons all running evaluations.
  void cancel_all() { cancel_after(-1); }

  /// No evaluation is running.
  bool idle() const { return open_.empty(); }
  std::size_t under_way() const { return open_.size(); }
  /// θ as sent to workers, of an update under evaluation.
  const std::vector<float>& theta(std::int64_t update) const { return open_.at(update).theta; }

 private:
  struct Open {
    store::RuleFile rule;
    double seconds = 0.0;
    std::vector<float> theta;
    /// [datasets][tasks]; empty until received.
    std::vector<std::vector<std::optional<EvaluationResult>>> results;
    std::int64_t missing = 0;
  };
  EvaluationRecord record_of(Open& open) const;
  void cancel_after(std::int64_t update);

  EvaluationOptions options_;
  std::optional<BestRule> best_;
  std::optional<std::int64_t> newest_;  ///< newest complete evaluation
  std::map<std::int64_t, Open> open_;   ///< by update
  std::deque<EvaluationPiece> to_deal_;
  std::map<int, EvaluationPiece> dealt_;  ///< by worker
};

}  // namespace outerloop::coordinator
