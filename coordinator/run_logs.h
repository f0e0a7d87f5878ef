#pragma once
// The logs of a run: metrics.jsonl and the events for TensorBoard. A refusing disk costs lines, not the run.
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "common/config/settings.h"
#include "common/store/events.h"
#include "common/store/files.h"
#include "common/store/metrics.h"
#include "coordinator/observer.h"

namespace outerloop::coordinator {

class RunLogs {
 public:
  using Warn = std::function<void(const std::string&)>;

  /// Opens the logs of the run in `directory` at `start_update` and cuts later lines. Warns if the disk
  /// refuses, and tries again with each line. Throws InputError if metrics.jsonl is not a regular file.
  RunLogs(std::string directory, std::int64_t start_update, std::string config_text, Warn warn);

  /// Counts an update; writes its line if it is `due`.
  void update(const UpdateRecord& record, bool due);
  void evaluation(const EvaluationRecord& record);
  /// Warns once if the disk refuses.
  void write(const nlohmann::json& line);
  /// For TensorBoard: θ, the staleness since the previous checkpoint, and the first-layer filters.
  void write_histograms(const store::Checkpoint& checkpoint);

  /// Cuts the lines after `update` and begins a new segment. Warns if the disk refuses.
  void roll_back(std::int64_t update);
  /// Recreates both files in a directory that was deleted. Throws Error.
  void reopen(std::int64_t update);

 private:
  // Each opens its file if it is not open yet. Throws Error.
  store::MetricsLog& metrics();
  store::EventLog& events();

  std::string directory_;
  std::int64_t start_update_;
  std::string config_text_;
  Warn warn_;
  std::optional<store::MetricsLog> metrics_;        ///< none until the disk lets it be opened
  std::optional<store::EventLog> events_;           ///< the same
  std::optional<config::Settings> settings_;        ///< of the run, read for the first picture
  std::map<std::int64_t, std::int64_t> staleness_;  ///< gradients by staleness, since the last checkpoint
  std::map<std::string, double> domain_cosines_;    ///< the newest, until written to a line
  bool failed_ = false;
};

}  // namespace outerloop::coordinator
