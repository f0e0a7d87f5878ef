#pragma once
// State of a machine, as far as a run depends on it: MPI, cores, memory, engines, datasets, disk and limits.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace outerloop::cli {

/// A dataset that needs no path, and why it cannot be opened; empty if it can.
struct DatasetState {
  std::string name;
  std::string problem;
};

/// The Slurm job of this process, according to the environment.
struct SlurmJob {
  std::string id;     ///< empty: none
  std::string nodes;  ///< in Slurm's notation, e.g. node[1-3]
  int node_count = 1;
  int tasks = 1;
  bool here = false;  ///< its only node is this host
  bool srun = false;  ///< srun, with which mpirun starts ranks on other nodes, is installed
};

/// State of the machine for the start of several ranks.
struct LaunchState {
  std::string script = "scripts/mpirun";  ///< the command here
  std::string mpirun = "mpirun";          ///< the command of Open MPI here
  std::string other_mpirun;  ///< the first mpirun in PATH, if it belongs to another MPI; or empty
  std::string host;
  std::string temporary_folder = "/tmp";
  std::string temporary_problem;      ///< why mpirun cannot use it; or empty
  std::string shared_memory_problem;  ///< of /dev/shm, its substitute; or empty
  std::string alone;                  ///< why this process cannot be a rank of its apparent job; or empty
  SlurmJob job;
};

/// State of the machine for a run. Sizes are in bytes.
struct Machine {
  std::string mpi;                            ///< this program's library, e.g. "Open MPI v4.1.4"
  bool ulfm = false;                          ///< it can report failed ranks itself (ULFM)
  std::string launcher;                       ///< first line of its mpirun's --version; empty if missing
  LaunchState launch;                         ///< for the start of several ranks
  int cores = 1;                              ///< usable by this process, under quota and Slurm's job
  int all_cores = 1;                          ///< without these limits
  std::optional<double> cpu_quota;            ///< of a control group, in cores
  std::int64_t memory = 0;                    ///< available without swapping
  std::vector<std::string> instruction_sets;  ///< of the fused engine, the best first
  std::string reference;          ///< the reference engine's description; empty: it cannot be loaded
  std::string reference_problem;  ///< why not
  int gpus = 0;                   ///< NVIDIA devices of the system
  std::string cuda;               ///< the reference engine's description on cuda; empty: it runs on none
  std::string cuda_problem;
  std::string blas;  ///< identity of the machine's libblas.so.3
  std::vector<DatasetState> datasets;
  std::string folder;
  std::int64_t disk_free = 0;           ///< in `folder`
  std::string network_file_system;      ///< of `folder`, e.g. "NFS"; empty: a local one
  std::int64_t shared_memory_free = 0;  ///< in /dev/shm
  std::int64_t open_files = 0;          ///< the soft limit
  bool slurm = false;                   ///< sbatch is installed
};

/// Reads this machine, for runs below `folder`.
Machine read_machine(const std::string& folder);

}  // namespace outerloop::cli
