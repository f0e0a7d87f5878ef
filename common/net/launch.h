#pragma once
// Which launcher (mpirun, srun) started this process, by its environment and its parent, without MPI; and the
// exit status of rank 0 for scripts/mpirun.
#include <functional>
#include <optional>
#include <string>

namespace outerloop::net {

/// An environment variable, or a null pointer: std::getenv, or a test's.
using Environment = std::function<const char*(const char*)>;
const char* process_environment(const char* name);

/// One of several processes that a launcher started together.
struct Task {
  int number = 0;
  int of = 1;
  std::string launcher;  ///< as a sentence names it, e.g. "srun"
};

/// As the launcher's variables say; none outside of one, and in a batch script's own shell. `SLURM_NTASKS`
/// alone is the size of an allocation, not of a step.
std::optional<Task> task_of(const Environment& environment = process_environment);

/// A process that its launcher calls one of several, but that is alone as MPI sees it: the launcher and this
/// program's MPI do not understand each other. One line that says so and what to do; none where all is well.
/// `world`: the number of ranks that MPI sees.
std::optional<std::string> alone_among_tasks(int world, const Environment& environment = process_environment);

/// The same before MPI begins, where it would fail with lines of its own or stand still: the launcher speaks
/// a language that this MPI has no plugin for, or has ended and left its variables behind.
std::optional<std::string> unreachable_launcher(const Environment& environment = process_environment);

/// Whether this process is to say what is wrong with arguments that other ranks have as well: the first rank
/// of each program of a command line, and every process that no mpirun started itself, whatever its
/// environment.
bool speaks_for_its_program(const Environment& environment = process_environment);

/// Rank 0 leaves the exit code where scripts/mpirun looks for it (OUTERLOOP_STATUS_FILE), if it was started
/// by that and is on the same host. Returns the status that this process is to end with: 0 on the ranks that
/// mpirun itself started, since mpirun has lines of its own for any other; else `exit_code`.
int leave_status(int exit_code, const Environment& environment = process_environment);

/// Seconds that ranks may take to find each other: OUTERLOOP_START_SECONDS, else 120 times the ranks on each
/// core / 4 where that is more than 1.
double start_seconds(const Environment& environment = process_environment);

/// Whether this is rank 0 of a job on several hosts, which scripts/mpirun does not see as a whole.
bool leads_several_hosts(const Environment& environment = process_environment);

/// What scripts/mpirun is told on the way there: "met" when all ranks have begun, "training" when
/// meta-training begins.
void leave_mark(const std::string& mark, const Environment& environment = process_environment);

/// From now on this process is no rank of the job that scripts/mpirun started: a replacement has a rank 0 of
/// its own.
void leave_status_to_others();

}  // namespace outerloop::net
