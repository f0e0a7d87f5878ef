#pragma once
// The run directory: checkpoints, metrics, logs and results of a run. Layout: docs/run-directory.md.
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/config/settings.h"
#include "common/store/events.h"
#include "common/store/files.h"
#include "common/store/metrics.h"
#include "coordinator/observer.h"
#include "coordinator/run_lock.h"

namespace outerloop::coordinator {

class RunDirectory : public Observer {
 public:
  /// Throws InputError where `path` exists and holds anything but what a start may find: a lock, join.json,
  /// and what file systems and desktops put into folders by themselves (lost+found, .nfs…, .DS_Store).
  static void refuse_used(const std::string& path);

  /// Makes `path` and the run in it. Throws InputError as refuse_used(); what was made is removed where the
  /// rest cannot be.
  static void create(const std::string& path, const std::string& config_text);

  /// The resolved configuration of an existing run. Throws InputError where there is none.
  static std::string read_config(const std::string& path);

  /// Replaces the saved configuration. Throws Error.
  static void write_config(const std::string& path, const std::string& config_text);

  /// Opens an existing run from checkpoint `start` on; metrics beyond it are cut, and what a start that was
  /// killed left half-written is removed. `lock`, where there is one, outlives it: a run that has another
  /// owner by now is not written to.
  RunDirectory(std::string path, std::int64_t keep, std::int64_t log_every, std::int64_t start_update,
               RunLock* lock = nullptr);

  /// Undoes create() where the run cannot start after all: while there is no checkpoint, what a start writes
  /// goes, anything else stays. `lock`, where there is one, is given back.
  static void remove_unstarted(const std::string& path, RunLock* lock = nullptr);

  /// The newest complete checkpoint of the run in `path`; false where there is none yet. `passed_over` gets a
  /// line for every newer one that was damaged.
  static bool read_latest(const std::string& path, store::Checkpoint& checkpoint,
                          std::vector<std::string>& passed_over);

  /// What rule-best.h5 of the run in `path` says of itself; nothing where there is none. A damaged one
  /// gets a line in `passed_over`.
  static std::optional<BestRule> read_best(const std::string& path, std::vector<std::string>& passed_over);

  /// environment.json, and result.json as it is until the run ends. A disk that refuses is warned of.
  void write_start(const nlohmann::json& environment, const nlohmann::json& result);
  /// Replaces result.json. Throws Error.
  void write_result(const nlohmann::json& result);

  void on_update(const UpdateRecord& record) override;
  /// Writes the checkpoint and rule.h5. A disk that refuses is warned of: training goes on, the checkpoint is
  /// kept in memory and tried again by retry(). Throws Error where another process has taken the run over.
  void on_checkpoint(const store::Checkpoint& checkpoint) override;
  /// Writes it to snapshots/. A disk that refuses is warned of: training goes on without this one.
  void on_snapshot(const store::RuleFile& rule) override;
  /// Cuts the metrics beyond `update` and begins a new segment.
  void on_rollback(std::int64_t update) override;
  /// Writes a line of metrics, and rule-best.h5 where this is the best so far. A disk that refuses the file
  /// is warned of and gets it again with the next checkpoint.
  void on_evaluation(const EvaluationRecord& record) override;
  /// To stderr and log.txt.
  void on_warning(const std::string& line) override;

  /// To be called now and then, with the time in seconds: tries a checkpoint that the disk has refused again,
  /// every half a minute, and writes a directory anew that has been deleted.
  void retry(double now);

  /// Whether the newest checkpoint and its rule.h5 are on the disk.
  bool last_checkpoint_written() const { return !unwritten_ && !unwritten_rule_; }
  const std::string& theta_sha256() const { return theta_sha256_; }
  const std::string& path() const { return path_; }
  /// The newest update, for the progress line.
  const UpdateRecord& newest() const { return newest_; }

 private:
  /// A disk that refuses is warned of once: training goes on.
  void write_metrics(const nlohmann::json& line);
  /// θ, the staleness since the checkpoint before, and what the streams' base models see, for TensorBoard.
  void write_histograms(const store::Checkpoint& checkpoint);
  /// Returns why the disk refuses, or nothing.
  std::string write_unwritten();
  void write_checkpoint();
  void write_best();
  /// Before each write: throws Error where the run has another owner, and restores what was deleted.
  void prepare_to_write();
  void check_lock();
  bool written_by_others() const;
  void restore();

  std::string path_;
  std::int64_t keep_;
  std::int64_t log_every_;
  RunLock* lock_;
  store::CheckpointFolder checkpoints_;
  store::MetricsLog metrics_;
  store::EventLog events_;
  std::optional<config::Settings> settings_;        ///< of the run, once a picture has needed them
  std::map<std::int64_t, std::int64_t> staleness_;  ///< gradients by it, since the checkpoint before
  std::map<std::string, double> domain_cosines_;    ///< the newest, until a line has them
  UpdateRecord newest_;
  std::string theta_sha256_;
  std::string config_text_;                     ///< for a directory that is deleted
  nlohmann::json environment_, result_;         ///< likewise; null before they are written
  std::optional<store::RuleFile> best_rule_;    ///< likewise
  std::int64_t last_written_;                   ///< update of the newest checkpoint that is this start's
  std::optional<store::Checkpoint> unwritten_;  ///< the newest, where the disk has refused it
  std::optional<store::RuleFile> unwritten_rule_;
  std::optional<double> next_try_;
  double next_look_ = 0.0;                         ///< for a directory that is deleted
  std::optional<store::RuleFile> unwritten_best_;  ///< rule-best.h5, where the disk has refused it
  bool metrics_failed_ = false;
  bool link_failed_ = false;
  bool deletion_said_ = false;
};

/// The time now as ISO 8601, UTC.
std::string utc_now();

}  // namespace outerloop::coordinator
