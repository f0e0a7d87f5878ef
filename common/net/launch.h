#pragma once
// Detects the launcher of this process (mpirun, srun) from the environment and the parent process, without
// MPI. Also passes rank 0's exit status to scripts/mpirun.
#include <functional>
#include <optional>
#include <string>

namespace outerloop::net {

/// Reads an environment variable, or returns a null pointer: std::getenv, or a test's function.
using Environment = std::function<const char*(const char*)>;
const char* process_environment(const char* name);

/// One of the processes that a launcher started together.
struct Task {
  int number = 0;
  int of = 1;
  std::string launcher;  ///< name for messages, e.g. "srun"
};

/// The task according to the launcher's variables. None without a launcher, and in the shell of a batch
/// script. `SLURM_NTASKS` alone is the size of an allocation, not of a step.
std::optional<Task> task_of(const Environment& environment = process_environment);

/// Detects a process that its launcher counts as one of several, but that MPI sees alone because launcher and
/// MPI do not match. Returns one line with the problem and the remedy; none if all is well. `world`: the
/// number of ranks that MPI sees.
std::optional<std::string> alone_among_tasks(int world, const Environment& environment = process_environment);

/// The same check before MPI_Init, which would fail with messages of its own or hang: this MPI has no plugin
/// for the launcher's protocol, or the launcher has ended and left its variables behind.
std::optional<std::string> unreachable_launcher(const Environment& environment = process_environment);

/// Whether this process reports errors in arguments that other ranks share: the first rank of each program of
/// a command line, and every process that mpirun did not start itself, whatever its environment.
bool speaks_for_its_program(const Environment& environment = process_environment);

/// Rank 0 writes the exit code to the file of scripts/mpirun (OUTERLOOP_STATUS_FILE), if that started it on
/// the same host. Returns the exit status for this process: 0 on ranks that mpirun itself started, because
/// mpirun prints messages of its own for any other; else `exit_code`.
int leave_status(int exit_code, const Environment& environment = process_environment);

/// Seconds for the ranks to find each other: OUTERLOOP_START_SECONDS, or 120 s, times a quarter of the ranks
/// per core if that exceeds 1.
double start_seconds(const Environment& environment = process_environment);

/// Whether this is rank 0 of a job on several hosts, of which scripts/mpirun sees only one.
bool leads_several_hosts(const Environment& environment = process_environment);

/// Reports progress to scripts/mpirun: "met" when all ranks have begun, "training" when meta-training begins.
void leave_mark(const std::string& mark, const Environment& environment = process_environment);

/// From now on this process does not count as a rank of the job that scripts/mpirun started: a replacement
/// has a rank 0 of its own.
void leave_status_to_others();

}  // namespace outerloop::net
