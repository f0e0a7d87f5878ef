#pragma once
// Start-up of a run: all ranks agree on configuration, checkpoint, datasets and engine, or all end with one
// error message.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cli/plan.h"
#include "cli/train.h"
#include "common/config/settings.h"
#include "common/data/task.h"
#include "common/evaluation/evaluator.h"
#include "common/net/mpi.h"
#include "common/rule/engine.h"
#include "common/store/files.h"
#include "coordinator/evaluations.h"
#include "coordinator/run_lock.h"
#include "worker/pulse.h"

namespace outerloop::cli {

/// Runs `step` on this rank and waits for the others. If it failed on any rank, rank 0 prints the first
/// failure, and every rank throws an Error without text that carries the exit code of that failure. Returns
/// the results of all ranks, by rank.
std::vector<std::string> on_all_ranks(const net::MpiSession& mpi, const std::function<std::string()>& step);

/// 1. Rank 0 reads configuration and checkpoint, or creates the run directory; all ranks get the settings.
Plan agree_on_plan(const net::MpiSession& mpi, const TrainOptions& options);

/// Hosts and processes of the ranks, by rank.
struct Ranks {
  std::vector<std::string> hosts;
  std::vector<std::string> process_ids;  ///< PeerProcess::here()
};

/// Call it on all ranks.
Ranks gather_ranks(const net::MpiSession& mpi);

/// The place of a rank among the ranks of its host that compute.
struct WorkerPlace {
  bool computes = true;  ///< false for a rank 0 that coordinates others
  int index = 0;
  int count = 1;
};

/// The place of rank number `rank`, which is number `local_rank` of `local_size` on its host, in a run that
/// begins. `hosts`: of all ranks, in any order.
WorkerPlace worker_place(int rank, int local_rank, int local_size, const std::vector<std::string>& hosts);

/// A rank's engine, tasks and datasets.
struct RankSetup {
  std::unique_ptr<rule::Engine> engine;
  std::unique_ptr<data::TaskDistribution> tasks;
  std::unique_ptr<evaluation::Evaluator> evaluator;   ///< null if the run never evaluates
  std::map<std::string, std::string> dataset_sha256;  ///< by place and name; the majority of the ranks
  std::vector<data::Domain> domains;                  ///< of the evaluation datasets; empty if none
  std::set<std::string> training_names;               ///< names of datasets in gradients and streams
  std::int64_t stream_bytes = 0;                      ///< largest message with one stream's state
  std::string engine_description;
  std::string instruction_set;
  std::vector<std::string> remarks;   ///< for the user: remarks of all ranks on the data, without repetitions
  std::string warning;                ///< for the user: of the first rank with too few cores; or empty
  double gradients_per_second = 0.0;  ///< of all ranks together, an estimate
};

/// 2. Every computing rank opens datasets and engine, and measures its speed; `hooks` run between two inner
/// steps. On other ranks the setup has the data of the computing ranks, but no engine and no tasks.
RankSetup set_up_rank(const net::MpiSession& mpi, const Plan& plan, const WorkerPlace& place,
                      const worker::Pulse::Hooks& hooks);

/// Version and revision of this program, which ranks compare.
std::string program_revision();

/// Names of the run's initial datasets that are missing in `here`, or differ.
std::vector<std::string> changed_datasets(const Plan& plan, const std::map<std::string, std::string>& here);

/// Deterministic mode: throws InputError if a dataset differs from the run's initial one.
void check_same_datasets(const Plan& plan, const std::map<std::string, std::string>& here);

/// Pins this process to engine.threads cores of its own, if the workers of this host fill exactly the usable
/// cores. Call it before the engine is made, because its threads inherit the cores. OUTERLOOP_PIN=0 disables
/// it.
void pin_worker(const config::Settings& settings, const WorkerPlace& place);

}  // namespace outerloop::cli
