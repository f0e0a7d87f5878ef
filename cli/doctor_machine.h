#pragma once
// The state of a machine that a run depends on: MPI, cores, memory, engines, datasets, disk and limits.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace outerloop::cli {

/// A dataset that needs no path, and why it cannot be opened; empty where it can.
struct DatasetState {
  std::string name;
  std::string problem;
};

/// The Slurm job that this process is in, by its environment.
struct SlurmJob {
  std::string id;     ///< empty: none
  std::string nodes;  ///< as Slurm writes them, e.g. node[1-3]
  int node_count = 1;
  int tasks = 1;
  bool here = false;  ///< its only node is this host
  bool srun = false;  ///< srun is here, which mpirun starts ranks on other nodes with
};

/// What a start of several ranks depends on.
struct LaunchState {
  std::string script = "scripts/mpirun";  ///< how that is called here
  std::string mpirun = "mpirun";          ///< how Open MPI's is called here
  std::string other_mpirun;               ///< the first mpirun in PATH, where that is another MPI's; or empty
  std::string host;
  std::string temporary_folder = "/tmp";
  std::string temporary_problem;      ///< why mpirun cannot use it; or empty
  std::string shared_memory_problem;  ///< of /dev/shm, which stands in for it; or empty
  std::string alone;  ///< why this process cannot be a rank of the job it seems to be in; or empty
  SlurmJob job;
};

/// What a run depends on. Sizes are in bytes.
struct Machine {
  std::string mpi;                  ///< the library that this program runs with, e.g. "Open MPI v4.1.4"
  bool ulfm = false;                ///< it can tell of failed ranks itself (ULFM)
  std::string launcher;             ///< first line of its mpirun's --version; empty: there is none
  LaunchState launch;               ///< what else a start of several ranks depends on
  int cores = 1;                    ///< that this process may use, quota and Slurm's job considered
  int all_cores = 1;                ///< without these two
  std::optional<double> cpu_quota;  ///< of a control group, in cores
  std::int64_t memory = 0;          ///< that could be had without swapping
  std::vector<std::string> instruction_sets;  ///< of the fused engine, the best first
  std::string reference;          ///< the reference engine's description; empty: it cannot be loaded
  std::string reference_problem;  ///< why not
  int gpus = 0;                   ///< NVIDIA devices of the system
  std::string cuda;               ///< the reference engine's description on cuda; empty: it runs on none
  std::string cuda_problem;
  std::string blas;  ///< the machine's libblas.so.3, by its own name
  std::vector<DatasetState> datasets;
  std::string folder;
  std::int64_t disk_free = 0;           ///< in `folder`
  std::string network_file_system;      ///< of `folder`, e.g. "NFS"; empty: a local one
  std::int64_t shared_memory_free = 0;  ///< in /dev/shm
  std::int64_t open_files = 0;          ///< the soft limit
  bool slurm = false;                   ///< sbatch is here
};

/// Of this machine, for runs below `folder`.
Machine read_machine(const std::string& folder);

}  // namespace outerloop::cli
