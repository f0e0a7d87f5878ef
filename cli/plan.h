#pragma once
// Plan of a run: what rank 0 reads and checks before anything else happens (configuration, checkpoint, run
// directory).
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

/// What rank 0 has read and checked before anything else happens.
struct Plan {
  std::string run_directory;
  std::shared_ptr<coordinator::HeldLock>
      lock;  ///< rank 0 alone: of the run directory, until the run has ended
  config::Settings settings;
  store::Checkpoint start;                    ///< rank 0 alone: θ, Adam, streams, ... to go on from
  std::optional<coordinator::BestRule> best;  ///< rank 0 alone: of what the run has evaluated before
  bool resumed = false;                       ///< rank 0 alone
  std::set<std::string> moved;  ///< rank 0 alone: datasets with a path other than at the beginning
  std::string config_text;      ///< rank 0 alone: what config.textproto is to say; empty: as it does

  coordinator::RunLock* run_lock() const { return lock ? &lock->lock() : nullptr; }
};

/// Reads configuration and checkpoint, or makes the run directory. Rank 0 alone. Throws InputError for
/// options that exclude each other, and what reading throws.
Plan make_plan(const TrainOptions& options, int workers);

/// Undoes what the start of a new run has written, while there is no checkpoint. Rank 0 alone.
void remove_unstarted(const Plan& plan);

/// Keys of datasets in reports of ranks and in checkpoints, by place and name: "0.glyphs" for training,
/// "evaluation.0.glyphs" for evaluation.
std::string dataset_key(std::size_t number, const config::NamedDataset& dataset);
std::string evaluation_key(std::size_t number, const config::NamedDataset& dataset);
bool is_evaluation_key(const std::string& key);

}  // namespace outerloop::cli
