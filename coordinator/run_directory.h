#pragma once
// The run directory: checkpoints, metrics, logs and results of a run. Layout: docs/run-directory.md.
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/store/files.h"
#include "coordinator/observer.h"
#include "coordinator/run_lock.h"
#include "coordinator/run_logs.h"

namespace outerloop::coordinator {

class RunDirectory : public Observer {
 public:
  /// Throws InputError where `path` exists and holds anything but a lock, join.json, and files that file
  /// systems and desktops create by themselves (lost+found, .nfs…, .DS_Store).
  static void refuse_used(const std::string& path);

  /// Creates `path` and the run in it. Throws InputError as refuse_used() does. Removes everything again if
  /// it fails half-way.
  static void create(const std::string& path, const std::string& config_text);

  /// The resolved configuration of an existing run. Throws InputError if there is none.
  static std::string read_config(const std::string& path);

  /// Replaces the saved configuration. Throws Error.
  static void write_config(const std::string& path, const std::string& config_text);

  /// Opens an existing run at the checkpoint of `start_update`. Cuts later metrics and removes half-written
  /// files of a killed start. `lock`, if there is one, must outlive this object: a run that has another owner
  /// by now is not written to.
  RunDirectory(std::string path, std::int64_t keep, std::int64_t log_every, std::int64_t start_update,
               RunLock* lock = nullptr);

  /// Undoes create() if the run cannot start: removes the files of a start, unless there is a checkpoint.
  /// Other files stay. Releases `lock`, if there is one.
  static void remove_unstarted(const std::string& path, RunLock* lock = nullptr);

  /// The newest complete checkpoint of the run in `path`; false if there is none yet. `passed_over` gets a
  /// line for every newer one that is damaged.
  static bool read_latest(const std::string& path, store::Checkpoint& checkpoint,
                          std::vector<std::string>& passed_over);

  /// Update and validation score in rule-best.h5 of the run in `path`; nothing if there is none. A damaged
  /// file adds a line to `passed_over`.
  static std::optional<BestRule> read_best(const std::string& path, std::vector<std::string>& passed_over);

  /// Writes environment.json and the preliminary result.json. Warns if the disk refuses.
  void write_start(const nlohmann::json& environment, const nlohmann::json& result);
  /// Replaces result.json. Throws Error.
  void write_result(const nlohmann::json& result);

  void on_update(const UpdateRecord& record) override;
  /// Writes the checkpoint and rule.h5. Warns if the disk refuses: training continues, the checkpoint stays
  /// in memory, and retry() tries again. Throws Error if another process has taken over the run.
  void on_checkpoint(const store::Checkpoint& checkpoint) override;
  /// Writes θ to snapshots/. Warns if the disk refuses: training continues without this snapshot.
  void on_snapshot(const store::RuleFile& rule) override;
  /// Cuts the metrics after `update` and begins a new segment.
  void on_rollback(std::int64_t update) override { logs_.roll_back(update); }
  /// Writes a line of metrics, and rule-best.h5 if this is the best so far. Warns if the disk refuses the
  /// file, and tries again with the next checkpoint.
  void on_evaluation(const EvaluationRecord& record) override;
  /// To stderr and log.txt.
  void on_warning(const std::string& line) override;

  /// Retries an unwritten checkpoint every half a minute, and recreates a deleted directory. Call it
  /// regularly, with the time in seconds.
  void retry(double now);

  /// Whether the newest checkpoint and its rule.h5 are on the disk.
  bool last_checkpoint_written() const { return !unwritten_ && !unwritten_rule_; }
  /// Update of the rule.h5 on the disk; nothing if there is none that can be read.
  std::optional<std::int64_t> rule_update() const;
  /// Whether the newest rule-best.h5 is on the disk.
  bool best_rule_written() const { return !unwritten_best_; }
  /// Whether a resume would find a checkpoint.
  bool has_checkpoint() const;
  const std::string& theta_sha256() const { return theta_sha256_; }
  const std::string& path() const { return path_; }
  /// The newest update, for the progress line.
  const UpdateRecord& newest() const { return newest_; }

 private:
  /// Returns the disk's error, or an empty text.
  std::string write_unwritten();
  void write_checkpoint();
  void write_best();
  /// Runs before each write: throws Error if the run has another owner, and restores deleted files. Returns
  /// why nothing can be written at the moment, or an empty text.
  std::string prepare_to_write();
  std::string check_lock() const;
  void say_once(const std::string& refusal, const char* what, std::int64_t update);
  void restore();

  std::string path_;
  std::int64_t keep_;
  std::int64_t log_every_;
  RunLock* lock_;
  store::CheckpointFolder checkpoints_;
  UpdateRecord newest_;
  std::string theta_sha256_;
  std::string config_text_;  ///< to restore a deleted directory
  RunLogs logs_;
  nlohmann::json environment_, result_;         ///< the same; null until written
  std::optional<store::RuleFile> best_rule_;    ///< the same
  std::int64_t last_written_;                   ///< update of the newest checkpoint of this start
  std::optional<store::Checkpoint> unwritten_;  ///< the newest, if the disk refused it
  std::optional<store::RuleFile> unwritten_rule_;
  std::optional<std::int64_t> rule_written_;  ///< update of the rule.h5 that this start wrote
  std::optional<double> next_try_;
  double next_look_ = 0.0;                         ///< time of the next check for a deleted directory
  std::optional<store::RuleFile> unwritten_best_;  ///< rule-best.h5, if the disk refused it
  bool refusal_said_ = false;
  bool link_failed_ = false;
  bool deletion_said_ = false;
};

/// The time now as ISO 8601, UTC.
std::string utc_now();

}  // namespace outerloop::coordinator
