#include "cli/doctor_machine.h"

#include <dlfcn.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "cli/bench/machine.h"
#include "cli/support/cores.h"
#include "common/base/error.h"
#include "common/config/settings.h"
#include "common/data/sources.h"
#include "common/net/mpi.h"
#include "common/rule/engine.h"
#include "common/rule/engines/make_engine.h"
#include "common/rule/fused/instruction_set.h"

namespace outerloop::cli {
namespace {

namespace fs = std::filesystem;

/// The first program of that name in PATH; empty: none.
std::string find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string candidate = folder + "/" + name;
    if (!folder.empty() && access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return "";
}

std::string first_line_of(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return "";
  char line[256] = "";
  const bool read = std::fgets(line, sizeof line, pipe) != nullptr;
  while (std::getc(pipe) != EOF) continue;  // lets the program write to its end
  pclose(pipe);
  std::string text = read ? line : "";
  return text.substr(0, text.find('\n'));
}

/// mpirun.openmpi where another MPI has taken the plain name, as scripts/mpirun does.
std::string launcher_version() {
  std::string any;
  for (const char* name : {"mpirun", "mpirun.openmpi"}) {
    if (find_program(name).empty()) continue;
    const std::string line = first_line_of(std::string(name) + " --version 2>/dev/null");
    if (line.find("Open MPI") != std::string::npos) return line;
    if (any.empty()) any = line;
  }
  return any;
}

std::int64_t free_bytes(const std::string& folder) {
  struct statfs state = {};
  if (statfs(folder.c_str(), &state) != 0) return 0;
  return static_cast<std::int64_t>(state.f_bavail) * static_cast<std::int64_t>(state.f_bsize);
}

std::string network_file_system(const std::string& folder) {
  struct statfs state = {};
  if (statfs(folder.c_str(), &state) != 0) return "";
  switch (static_cast<std::uint32_t>(state.f_type)) {
    case 0x6969:
      return "NFS";
    case 0x517B:
    case 0xFF534D42:
    case 0xFE534D42:
      return "SMB";
    case 0x0BD00BD0:
      return "Lustre";
    case 0x47504653:
      return "GPFS";
    case 0x19830326:
      return "BeeGFS";
    case 0x00C36400:
      return "Ceph";
    case 0x5346414F:
      return "AFS";
    default:
      return "";
  }
}

/// The reference engine's own words, or why there is none, in `problem`.
std::string reference_on(const std::string& device, std::string& problem) {
  try {
    rule::EngineOptions options = config::default_engine();
    options.kind = rule::EngineKind::reference;
    options.device = device;
    return rule::make_engine({"neuron_local", rule::paper_size(), {}}, options)->description();
  } catch (const Error& error) {
    problem = error.what();
  }
  return "";
}

std::vector<DatasetState> datasets() {
  std::vector<DatasetState> states;
  for (const auto& kind : data::dataset_kinds()) {
    if (kind.needs_path()) continue;
    DatasetState state{kind.name, ""};
    try {
      data::DatasetRequest request;
      request.name = kind.name;
      data::find_source(request);
    } catch (const InputError& error) {
      state.problem = error.what();
    }
    states.push_back(state);
  }
  return states;
}

int gpus() {
  int count = 0;
  while (fs::exists("/dev/nvidia" + std::to_string(count))) ++count;
  return count;
}

}  // namespace

Machine read_machine(const std::string& folder) {
  Machine machine;
  machine.mpi = net::MpiSession::library_version();
  machine.ulfm = dlsym(RTLD_DEFAULT, "MPIX_Comm_get_failed") != nullptr;
  machine.launcher = launcher_version();
  machine.cores = std::max(1, static_cast<int>(usable_cores().size()));
  machine.memory = available_bytes();
  machine.instruction_sets = rule::fused::available_instruction_sets();
  machine.reference = reference_on("cpu", machine.reference_problem);
  machine.gpus = gpus();
  if (machine.gpus > 0) machine.cuda = reference_on("cuda", machine.cuda_problem);
  machine.blas = measure_blas().name;
  machine.datasets = datasets();
  machine.folder = fs::absolute(folder).lexically_normal().string();
  machine.disk_free = free_bytes(folder);
  machine.network_file_system = network_file_system(folder);
  machine.shared_memory_free = free_bytes("/dev/shm");
  struct rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
    machine.open_files =
        limit.rlim_cur == RLIM_INFINITY ? 1 << 30 : static_cast<std::int64_t>(limit.rlim_cur);
  machine.slurm = !find_program("sbatch").empty();
  const char* job = std::getenv("SLURM_JOB_ID");
  if (job) machine.slurm_job = job;
  return machine;
}

}  // namespace outerloop::cli
