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

namespace outerloop::coordinator {

class RunDirectory : public Observer {
 public:
  /// Makes `path`. Throws InputError where it exists and is not empty.
  static void create(const std::string& path, const std::string& config_text);

  /// The resolved configuration of an existing run. Throws InputError where there is none.
  static std::string read_config(const std::string& path);

  /// Opens an existing run from checkpoint `start` on; metrics beyond it are cut, and what a start that was
  /// killed left half-written is removed.
  RunDirectory(std::string path, std::int64_t keep, std::int64_t log_every, std::int64_t start_update);

  /// Undoes create() where the run cannot start after all: what create() made goes, anything else stays.
  static void remove_unstarted(const std::string& path);

  /// The newest complete checkpoint of the run in `path`; false where there is none yet. `passed_over` gets a
  /// line for every newer one that was damaged.
  static bool read_latest(const std::string& path, store::Checkpoint& checkpoint,
                          std::vector<std::string>& passed_over);

  /// What rule-best.h5 of the run in `path` says of itself; nothing where there is none. A damaged one
  /// gets a line in `passed_over`.
  static std::optional<BestRule> read_best(const std::string& path, std::vector<std::string>& passed_over);

  void write_environment(const nlohmann::json& environment) const;
  void write_result(const nlohmann::json& result) const;

  void on_update(const UpdateRecord& record) override;
  /// Writes the checkpoint and rule.h5. A disk that refuses is warned of: training goes on, the checkpoint is
  /// kept in memory and tried again by retry().
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
  /// every half a minute.
  void retry(double now);

  /// Whether the newest checkpoint is on the disk.
  bool last_checkpoint_written() const { return !unwritten_.has_value(); }
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
  void write_best();

  std::string path_;
  std::int64_t keep_;
  std::int64_t log_every_;
  store::CheckpointFolder checkpoints_;
  store::MetricsLog metrics_;
  store::EventLog events_;
  std::optional<config::Settings> settings_;        ///< of the run, once a picture has needed them
  std::map<std::int64_t, std::int64_t> staleness_;  ///< gradients by it, since the checkpoint before
  std::map<std::string, double> domain_cosines_;    ///< the newest, until a line has them
  UpdateRecord newest_;
  std::string theta_sha256_;
  std::optional<store::Checkpoint> unwritten_;  ///< the newest, where the disk has refused it
  std::optional<double> next_try_;
  std::optional<store::RuleFile> unwritten_best_;  ///< rule-best.h5, where the disk has refused it
  bool metrics_failed_ = false;
};

/// The time now as ISO 8601, UTC.
std::string utc_now();

}  // namespace outerloop::coordinator
