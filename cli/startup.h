#pragma once
// Start-up of a run: all ranks agree on configuration, checkpoint, datasets and engine, or all end with one
// error line.
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

/// Runs `step` on this rank and waits for the others. Where it failed on any, rank 0 prints the first failure
/// and every rank throws an Error without text and with that failure's exit code. Returns what every rank's
/// step returned, by rank.
std::vector<std::string> on_all_ranks(const net::MpiSession& mpi, const std::function<std::string()>& step);

/// 1. Rank 0 reads configuration and checkpoint, or makes the run directory; all ranks get the settings.
Plan agree_on_plan(const net::MpiSession& mpi, const TrainOptions& options);

/// Who the ranks are, by rank.
struct Ranks {
  std::vector<std::string> hosts;
  std::vector<std::string> process_ids;  ///< PeerProcess::here()
};

/// To be called by all of them.
Ranks gather_ranks(const net::MpiSession& mpi);

/// This rank among the ranks of its host that compute.
struct WorkerPlace {
  bool computes = true;  ///< false for a rank 0 that coordinates others
  int index = 0;
  int count = 1;
};

/// Of rank number `rank` in a run that begins, which is number `local_rank` of `local_size` on its host.
/// `hosts`: of all ranks, in any order over the hosts.
WorkerPlace worker_place(int rank, int local_rank, int local_size, const std::vector<std::string>& hosts);

/// What ranks compute with.
struct RankSetup {
  std::unique_ptr<rule::Engine> engine;
  std::unique_ptr<data::TaskDistribution> tasks;
  std::unique_ptr<evaluation::Evaluator> evaluator;   ///< none where the run never evaluates
  std::map<std::string, std::string> dataset_sha256;  ///< by place and name; what most ranks have
  std::vector<data::Domain> domains;     ///< of the datasets of an evaluation; empty where there are none
  std::set<std::string> training_names;  ///< of the datasets, as gradients and streams name them
  std::int64_t stream_bytes = 0;         ///< most that one stream's state takes in a message
  std::string engine_description;
  std::string instruction_set;
  std::vector<std::string> remarks;   ///< for the user: what any rank has to say of the data, each line once
  std::string warning;                ///< for the user: of the first rank that has too few cores; or empty
  double gradients_per_second = 0.0;  ///< of all ranks together, estimated from a few truncations of each
};

/// 2. Every computing rank opens datasets and engine, and measures itself, by `hooks` between two inner
/// steps. The setup of a rank that does not compute has what is known of the others, but no engine and no
/// tasks.
RankSetup set_up_rank(const net::MpiSession& mpi, const Plan& plan, const WorkerPlace& place,
                      const worker::Pulse::Hooks& hooks);

/// Version and revision of this program, as ranks compare them.
std::string program_revision();

/// Names of the datasets that the run began with and that are missing `here`, or differ.
std::vector<std::string> changed_datasets(const Plan& plan, const std::map<std::string, std::string>& here);

/// Deterministic mode: throws InputError where a dataset differs from the one that the run began with.
void check_same_datasets(const Plan& plan, const std::map<std::string, std::string>& here);

/// Pins this process to engine.threads cores of its own where the workers of this host fill all that it may
/// use. Before the engine is made, whose threads inherit it. OUTERLOOP_PIN=0 switches it off.
void pin_worker(const config::Settings& settings, const WorkerPlace& place);

}  // namespace outerloop::cli
