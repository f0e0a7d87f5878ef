#pragma once
// An observer that keeps what the coordinator tells it.
#include <string>
#include <vector>

#include "coordinator/coordinator.h"

namespace outerloop::tests {

struct Recorder : coordinator::Observer {
  void on_update(const coordinator::UpdateRecord& record) override { updates.push_back(record); }
  void on_checkpoint(const store::Checkpoint& checkpoint) override { checkpoints.push_back(checkpoint); }
  void on_rollback(std::int64_t update) override { rollbacks.push_back(update); }
  void on_evaluation(const coordinator::EvaluationRecord& record) override { evaluations.push_back(record); }
  void on_warning(const std::string& line) override { warnings.push_back(line); }
  std::vector<coordinator::UpdateRecord> updates;
  std::vector<store::Checkpoint> checkpoints;
  std::vector<std::int64_t> rollbacks;
  std::vector<coordinator::EvaluationRecord> evaluations;
  std::vector<std::string> warnings;
};

}  // namespace outerloop::tests
