#pragma once
// The observer of a run: what the coordinator reports to whoever writes files and prints.
#include <cstdint>
#include <string>

#include "common/store/files.h"
#include "coordinator/evaluations.h"
#include "coordinator/learner.h"

namespace outerloop::coordinator {

class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_update(const UpdateRecord& record) = 0;
  /// A checkpoint is complete in memory and is to be written.
  virtual void on_checkpoint(const store::Checkpoint& checkpoint) = 0;
  /// θ after this update is one that the run keeps (is_snapshot()).
  virtual void on_snapshot(const store::RuleFile& /*rule*/) {}
  /// A lost worker has led back to the checkpoint of `update`: what was reported of later updates is void.
  virtual void on_rollback(std::int64_t /*update*/) {}
  /// All tasks of an evaluation have come in, perhaps some updates after the one that it is of.
  virtual void on_evaluation(const EvaluationRecord& /*record*/) {}
  virtual void on_warning(const std::string& line) = 0;
};

}  // namespace outerloop::coordinator
