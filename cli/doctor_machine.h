#pragma once
// The state of a machine that a run depends on: MPI, cores, memory, engines, datasets, disk and limits.
#include <cstdint>
#include <string>
#include <vector>

namespace outerloop::cli {

/// A dataset that needs no path, and why it cannot be opened; empty where it can.
struct DatasetState {
  std::string name;
  std::string problem;
};

/// What a run depends on. Sizes are in bytes.
struct Machine {
  std::string mpi;          ///< the library that this program runs with, e.g. "Open MPI v4.1.4"
  bool ulfm = false;        ///< it can tell of failed ranks itself (ULFM)
  std::string launcher;     ///< first line of `mpirun --version`; empty: there is none
  int cores = 1;            ///< that this process may use
  std::int64_t memory = 0;  ///< that could be had without swapping
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
  std::string slurm_job;                ///< the job that this runs in; empty: none
};

/// Of this machine, for runs below `folder`.
Machine read_machine(const std::string& folder);

}  // namespace outerloop::cli
