#include "cli/doctor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/doctor_launch.h"
#include "cli/version.h"
#include "common/base/error.h"
#include "common/store/atomic_file.h"

namespace outerloop::cli {
namespace {

struct DoctorOptions {
  std::string folder = ".";  ///< folder for run directories
  std::string json;          ///< also write the findings here; empty: no
};

constexpr std::int64_t kMiB = 1 << 20;
constexpr std::int64_t kGiB = kMiB << 10;
constexpr std::int64_t kDiskNeeded = kGiB;
constexpr std::int64_t kMemoryPerRank = 512 * kMiB;
// Open MPI's shared memory takes 4 MiB per rank, and as much again for each pair with much traffic.
constexpr std::int64_t kSharedMemoryPerRank = 16 * kMiB;
constexpr std::int64_t kOpenFiles = 1024;

std::string size_text(std::int64_t bytes) {
  if (bytes >= kGiB) return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / static_cast<double>(kGiB));
  return fmt::format("{} MiB", bytes / kMiB);
}

Finding mpi_finding(const Machine& machine) {
  Finding finding{"MPI", true, machine.mpi, ""};
  if (!machine.launch.other_mpirun.empty() && !machine.launcher.empty())
    finding.what += fmt::format("; {} is another MPI's, so {} is used", machine.launch.other_mpirun,
                                machine.launch.mpirun);
  const bool open_mpi = machine.mpi.rfind("Open MPI", 0) == 0;
  if (machine.launcher.empty()) {
    finding = {"MPI", false,
               machine.mpi + (machine.launch.other_mpirun.empty()
                                  ? ", but there is no mpirun"
                                  : ", but " + machine.launch.other_mpirun + " is not its mpirun"),
               "apt-get install openmpi-bin, or put Open MPI's bin folder into PATH; a single process runs "
               "without it"};
  } else if (!open_mpi) {
    finding = {"MPI", false, machine.mpi + " is not Open MPI",
               "build with Open MPI: recovery is untested with other MPIs"};
  } else if (major_version(machine.mpi) != major_version(machine.launcher)) {
    finding = {"MPI", false, fmt::format("{}, but mpirun is {}", machine.mpi, machine.launcher),
               "put the bin folder of the Open MPI that this program was built with first in PATH"};
  }
  return finding;
}

Finding recovery_finding(const Machine& machine) {
  if (machine.ulfm)
    return {"recovery", true, "ULFM: scripts/mpirun sets --with-ft ulfm, a lost rank does not end the others",
            ""};
  if (machine.mpi.rfind("Open MPI", 0) == 0 && major_version(machine.mpi) == 4)
    return {"recovery", true,
            "scripts/mpirun sets --enable-recovery, a lost rank does not end the others (no ULFM)", ""};
  return {"recovery", false, "a lost rank ends the whole job",
          "use Open MPI 4, or 5 with ULFM; --resume continues from the last checkpoint"};
}

Finding ranks_finding(const Machine& machine) {
  const int ranks = ranks_here(machine);
  const std::string what =
      !can_launch(machine)
          ? fmt::format("{}: one process, without mpirun: outerloop train", cores_text(machine))
          : fmt::format("{}: {} -n {}, of which one coordinates and {} work{}", cores_text(machine),
                        machine.launch.script, ranks, ranks - 1, ranks == 2 ? "s" : "");
  if (machine.memory < ranks * kMemoryPerRank)
    return {"ranks", false, fmt::format("{}; but {} of memory is free", what, size_text(machine.memory)),
            fmt::format("allow 512 MiB per rank: -n {}",
                        std::max<std::int64_t>(1, machine.memory / kMemoryPerRank))};
  return {"ranks", true, fmt::format("{}; {} of memory is free", what, size_text(machine.memory)), ""};
}

/// How plain mpirun starts as many ranks.
Finding slots_finding(const Machine& machine) {
  return {"slots", true,
          fmt::format("plain mpirun: {1} --oversubscribe -n {0}, or --hostfile with `localhost slots={0}`",
                      ranks_here(machine), machine.launch.mpirun),
          ""};
}

Finding instruction_set_finding(const Machine& machine) {
  const auto& sets = machine.instruction_sets;
  const std::string what = fmt::format("{}", fmt::join(sets, ", "));
  if (sets.size() <= 1)
    return {"instructions", false, what + " only",
            "the engine runs, several times slower than with avx2 or more"};
  return {"instructions", true, what, ""};
}

Finding libtorch_finding(const Machine& machine) {
  if (machine.reference.empty())
    return {"LibTorch", false,
            "none here: " + machine.reference_problem.substr(0, machine.reference_problem.find(';')),
            "needed only for engine.kind = reference, device = cuda, and baselines that train a network"};
  return {"LibTorch", true, machine.reference, ""};
}

Finding device_finding(const Machine& machine) {
  if (!machine.cuda.empty())
    return {"devices", true, fmt::format("cpu, {} GPUs: {}", machine.gpus, machine.cuda), ""};
  if (machine.gpus > 0)
    return {"devices", false,
            fmt::format("cpu; {} GPUs are not used: {}", machine.gpus, machine.cuda_problem),
            "Debian's LibTorch has no CUDA; build against one that has, then --set device=cuda: docs/gpu.md"};
  return {"devices", true, "cpu", ""};
}

Finding blas_finding(const Machine& machine) {
  if (machine.blas.rfind("lib", 0) == 0 || machine.blas == "none")
    return {"BLAS", false, machine.blas == "none" ? "none" : machine.blas + " is not OpenBLAS",
            "LibTorch is several times slower with it: docs/install.md, OpenBLAS; the fused engine does not "
            "use it"};
  return {"BLAS", true, machine.blas.substr(0, machine.blas.find(' ', machine.blas.find(' ') + 1)), ""};
}

Finding datasets_finding(const Machine& machine) {
  std::vector<std::string> here, missing;
  std::string first;
  for (const auto& dataset : machine.datasets) {
    (dataset.problem.empty() ? here : missing).push_back(dataset.name);
    if (!dataset.problem.empty() && first.empty()) first = dataset.problem;
  }
  if (!missing.empty())
    return {"datasets", false,
            fmt::format("{}; missing: {}", fmt::join(here, ", "), fmt::join(missing, ", ")),
            first + " (outerloop data list)"};
  return {"datasets", true, fmt::format("{}", fmt::join(here, ", ")), ""};
}

Finding disk_finding(const Machine& machine) {
  const std::string what = fmt::format("{} free in {}", size_text(machine.disk_free), machine.folder);
  if (machine.disk_free < kDiskNeeded)
    return {"disk", false, what,
            "a run of days keeps some hundred MiB of checkpoints: free some space, or use another --run-dir"};
  return {"disk", true, what, ""};
}

Finding files_finding(const Machine& machine) {
  if (machine.network_file_system.empty()) return {"file locks", true, "a local file system", ""};
  return {
      "file locks", false, machine.network_file_system + ", where HDF5's file locks often fail",
      "export HDF5_USE_FILE_LOCKING=FALSE for h5py and for arrays read from .h5; our own files need no lock"};
}

Finding shared_memory_finding(const Machine& machine) {
  const std::string what = size_text(machine.shared_memory_free) + " free in /dev/shm";
  if (machine.shared_memory_free < ranks_here(machine) * kSharedMemoryPerRank)
    return {
        "shm", false, what,
        "Open MPI needs some 16 MiB per rank: mount -o remount,size=1G /dev/shm (docker run --shm-size=1g)"};
  return {"shm", true, what, ""};
}

Finding open_files_finding(const Machine& machine) {
  const std::string what = fmt::format("{} open files", machine.open_files);
  if (machine.open_files < kOpenFiles)
    return {"limits", false, what, "ulimit -n 4096: each TCP connection to a rank takes one"};
  return {"limits", true, what, ""};
}

void print(const std::vector<Finding>& findings) {
  fmt::print("Outerloop {} ({})\n", version(), git_revision());
  std::size_t warnings = 0;
  for (const auto& finding : findings) {
    fmt::print("  {:<7} {:<13}{}\n", finding.ok ? "ok" : "WARNING", finding.name, finding.what);
    if (finding.ok) continue;
    fmt::print("  {:<7} {:<13}-> {}\n", "", "", finding.remedy);
    ++warnings;
  }
  fmt::print("{}\n", warnings == 0   ? "All is well."
                     : warnings == 1 ? "1 warning."
                                     : fmt::format("{} warnings.", warnings));
  std::fflush(stdout);
}

int doctor(const DoctorOptions& options) {
  if (!std::filesystem::is_directory(options.folder))
    throw InputError(options.folder + ": no such folder; --dir is the folder for run directories");
  const auto findings = diagnose(read_machine(options.folder));
  print(findings);
  if (options.json.empty()) return 0;
  nlohmann::json result = {{"version", version()}, {"git_revision", git_revision()}};
  for (const auto& finding : findings)
    result["checks"].push_back(
        {{"name", finding.name}, {"ok", finding.ok}, {"message", finding.what}, {"remedy", finding.remedy}});
  store::write_file_atomically(options.json,
                               result.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  return 0;
}

}  // namespace

std::vector<Finding> diagnose(const Machine& machine) {
  return {mpi_finding(machine),
          recovery_finding(machine),
          ranks_finding(machine),
          slots_finding(machine),
          instruction_set_finding(machine),
          libtorch_finding(machine),
          device_finding(machine),
          blas_finding(machine),
          datasets_finding(machine),
          disk_finding(machine),
          files_finding(machine),
          shared_memory_finding(machine),
          open_files_finding(machine),
          host_name_finding(machine),
          temporary_folder_finding(machine),
          launcher_finding(machine),
          slurm_finding(machine)};
}

Command add_doctor(CLI::App& app) {
  const auto options = std::make_shared<DoctorOptions>();
  auto* command = app.add_subcommand("doctor", "Checks whether this machine is ready for a run.");
  command->add_option("--dir", options->folder, "folder for run directories")->capture_default_str();
  command->add_option("--json", options->json, "also write the output to this file as JSON");
  return {command, [options] { return doctor(*options); }};
}

}  // namespace outerloop::cli
