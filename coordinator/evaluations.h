#pragma once
// Evaluations of θ while a run goes on: which θ are being evaluated, which tasks are left, which worker does
// which, the scores, and the best θ. A piece is one task of one dataset. Knows no messages, files or clock.
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/data/domain.h"
#include "common/store/files.h"

namespace outerloop::coordinator {

/// What a dataset is to the run.
enum class EvaluationRole {
  train,       ///< trained on: the other end of the train-against-held-out curve
  validation,  ///< classes held out of training: the best θ is chosen on it
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
  std::uint32_t dataset = 0;  ///< place in EvaluationOptions::datasets
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
  std::int64_t failed = 0;  ///< of them
};

/// What an evaluation says of the datasets of one domain and role, each counted alike; NaN where all tasks of
/// one have failed.
struct DomainScore {
  data::Domain domain = data::Domain::images;
  EvaluationRole role = EvaluationRole::test;
  double meta_objective = 0.0;
  double accuracy = 0.0;
};

/// In the order of domains and roles.
std::vector<DomainScore> scores_by_domain(const std::vector<EvaluationScore>& scores);

struct EvaluationRecord {
  std::int64_t update = 0;
  double seconds = 0.0;  ///< of meta-training at that update, over resumes
  bool average = false;  ///< the running average of θ was evaluated
  std::vector<EvaluationScore> scores;
  /// Mean of the validation datasets' meta-objectives, each counted alike; NaN where there is none, or where
  /// one of their tasks failed.
  double validation = 0.0;
  bool best = false;            ///< no update before validated as well
  double worker_seconds = 0.0;  ///< that all its pieces took together
  store::RuleFile rule;         ///< θ and its average as they were
};

/// The θ that validated best so far.
struct BestRule {
  std::int64_t update = 0;
  double validation = 0.0;
};

class Evaluations {
 public:
  /// `best`: the θ that has validated best before; `newest`: the newest update whose evaluation is complete.
  explicit Evaluations(EvaluationOptions options, std::optional<BestRule> best = {},
                       std::optional<std::int64_t> newest = {})
      : options_(std::move(options)), best_(best), newest_(newest) {}

  /// θ of this update is to be evaluated.
  bool due(std::int64_t update) const { return options_.enabled() && update % options_.every_updates == 0; }
  /// θ of this update has not been evaluated, and is not being evaluated.
  bool lacks(std::int64_t update) const { return options_.enabled() && newest_ != update && !knows(update); }

  /// Begins to evaluate `rule`, of an update that is not being evaluated: its average where it has one, else
  /// θ.
  void begin(store::RuleFile rule, double seconds);
  bool knows(std::int64_t update) const { return open_.count(update) > 0; }

  /// The next piece, oldest update first, for a worker that has none; nothing where all are dealt out.
  std::optional<EvaluationPiece> deal(int worker);
  /// The piece that a worker is at.
  std::optional<EvaluationPiece> piece_of(int worker) const;
  /// The worker does not do its piece, if it has one: the piece is the next to be dealt out again.
  void take_back(int worker);
  /// A worker's result of the piece it was given. Returns false, and counts nothing, for any other piece.
  bool accept(int worker, const EvaluationPiece& piece, const EvaluationResult& result);

  /// The evaluation whose last piece has come in, taken out; to be asked for after each accept().
  std::optional<EvaluationRecord> take_finished();
  /// The newest update whose evaluation is complete; nothing before the first.
  std::optional<std::int64_t> newest() const { return newest_; }
  const std::optional<BestRule>& best() const { return best_; }

  /// θ has gone back to that of `update`: forgets evaluations of later ones, complete or not, and who was at
  /// their pieces. What validated best stays.
  void go_back_to(std::int64_t update);
  /// Abandons what is being evaluated.
  void cancel_all() { cancel_after(-1); }

  /// Nothing is being evaluated.
  bool idle() const { return open_.empty(); }
  std::size_t under_way() const { return open_.size(); }
  /// What travels to workers: of an update that is being evaluated.
  const std::vector<float>& theta(std::int64_t update) const { return open_.at(update).theta; }

 private:
  struct Open {
    store::RuleFile rule;
    double seconds = 0.0;
    std::vector<float> theta;
    /// [datasets][tasks]; nothing where it is not there yet.
    std::vector<std::vector<std::optional<EvaluationResult>>> results;
    std::int64_t missing = 0;
  };
  EvaluationRecord record_of(Open& open) const;
  void cancel_after(std::int64_t update);

  EvaluationOptions options_;
  std::optional<BestRule> best_;
  std::optional<std::int64_t> newest_;  ///< complete
  std::map<std::int64_t, Open> open_;   ///< by update
  std::deque<EvaluationPiece> to_deal_;
  std::map<int, EvaluationPiece> dealt_;  ///< by worker
};

}  // namespace outerloop::coordinator
