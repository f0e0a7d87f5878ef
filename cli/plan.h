#pragma once
// Plan of a run: configuration, checkpoint and run directory, which rank 0 reads and checks first.
#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "cli/train.h"
#include "common/config/settings.h"
#include "common/store/files.h"
#include "coordinator/evaluations.h"
#include "coordinator/run_lock.h"

namespace outerloop::cli {

/// The plan of a run. Most of it exists only on rank 0.
struct Plan {
  std::string run_directory;
  std::shared_ptr<coordinator::HeldLock>
      lock;  ///< rank 0 alone: of the run directory, until the run has ended
  config::Settings settings;
  store::Checkpoint start;   ///< rank 0 only: θ, Adam, streams, ... to start from
  std::string theta_origin;  ///< rank 0 only: of --init-theta, e.g. "rules/images.h5, which has 28342"
  std::optional<coordinator::BestRule> best;  ///< rank 0 only: from earlier evaluations of the run
  bool resumed = false;                       ///< rank 0 alone
  std::set<std::string> moved;  ///< rank 0 only: datasets whose path has changed since the beginning
  std::string config_text;      ///< rank 0 only: new contents of config.textproto; empty: unchanged

  coordinator::RunLock* run_lock() const { return lock ? &lock->lock() : nullptr; }
};

/// Reads configuration and checkpoint, or creates the run directory. Rank 0 only. Throws InputError for
/// contradictory options, and whatever reading throws.
Plan make_plan(const TrainOptions& options, int workers);

/// Removes the files of a new run, unless there is a checkpoint. Rank 0 only.
void remove_unstarted(const Plan& plan);

/// Keys of datasets in reports of ranks and in checkpoints, by place and name: "0.glyphs" for training,
/// "evaluation.0.glyphs" for evaluation.
std::string dataset_key(std::size_t number, const config::NamedDataset& dataset);
std::string evaluation_key(std::size_t number, const config::NamedDataset& dataset);
bool is_evaluation_key(const std::string& key);

}  // namespace outerloop::cli
