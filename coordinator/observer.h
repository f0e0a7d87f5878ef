#pragma once
// The observer interface of a run: events for files and the terminal.
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
  /// A checkpoint is complete in memory and must be written.
  virtual void on_checkpoint(const store::Checkpoint& checkpoint) = 0;
  /// The run keeps the θ after this update (is_snapshot()).
  virtual void on_snapshot(const store::RuleFile& /*rule*/) {}
  /// The run has returned to the checkpoint of `update` after a loss; reports of later updates are void.
  virtual void on_rollback(std::int64_t /*update*/) {}
  /// An evaluation is complete, possibly some updates after its own.
  virtual void on_evaluation(const EvaluationRecord& /*record*/) {}
  virtual void on_warning(const std::string& line) = 0;
};

}  // namespace outerloop::coordinator
