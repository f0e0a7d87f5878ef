#include "cli/doctor_machine.h"

#include <dlfcn.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "cli/bench/machine.h"
#include "cli/support/cores.h"
#include "cli/support/launcher.h"
#include "common/base/cores.h"
#include "common/base/error.h"
#include "common/config/settings.h"
#include "common/data/sources.h"
#include "common/net/launch.h"
#include "common/net/mpi.h"
#include "common/net/peer_process.h"
#include "common/rule/engine.h"
#include "common/rule/engines/make_engine.h"
#include "common/rule/fused/instruction_set.h"

namespace outerloop::cli {
namespace {

namespace fs = std::filesystem;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

int number_in(const char* name) { return std::max(1, std::atoi(variable(name).c_str())); }

std::string host_name() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return name;
}

/// The same as in scripts/launch.sh.
SlurmJob slurm_job(const std::string& host) {
  SlurmJob job;
  job.id = variable("SLURM_JOB_ID");
  if (job.id.empty()) return job;
  job.nodes = variable("SLURM_JOB_NODELIST");
  if (job.nodes.empty()) job.nodes = variable("SLURM_NODELIST");
  job.node_count =
      number_in(variable("SLURM_JOB_NUM_NODES").empty() ? "SLURM_NNODES" : "SLURM_JOB_NUM_NODES");
  job.tasks = number_in("SLURM_NTASKS");
  job.srun = !find_program("srun").empty();
  const std::string short_name = host.substr(0, host.find('.'));
  job.here = job.node_count == 1 && !job.nodes.empty() &&
             (job.nodes == host || job.nodes.substr(0, job.nodes.find('.')) == short_name);
  return job;
}

/// The installed script is in PATH under another name.
std::string script_name() {
  const std::string beside =
      fs::path(net::ProgramFile().path()).parent_path().string() + "/../../scripts/mpirun";
  if (access(beside.c_str(), X_OK) == 0 || find_program("outerloop-mpirun").empty()) return "scripts/mpirun";
  return "outerloop-mpirun";
}

LaunchState launch_state(const Launcher& launcher) {
  LaunchState state;
  state.script = script_name();
  state.other_mpirun = launcher.first;
  if (!launcher.first.empty()) state.mpirun = launcher.path;
  state.host = host_name();
  const auto temporary = temporary_folder();
  state.temporary_folder = temporary.path;
  state.temporary_problem = temporary.problem;
  if (!temporary.problem.empty()) state.shared_memory_problem = problem_of_folder("/dev/shm", 1 << 22);
  if (const auto why = net::unreachable_launcher()) state.alone = *why;
  state.job = slurm_job(state.host);
  return state;
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

/// The reference engine's description of itself; if there is none, the reason in `problem`.
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
  const Launcher launcher = find_launcher();
  machine.launcher = launcher.version;
  machine.launch = launch_state(launcher);
  machine.cores = base::available_cores();
  machine.all_cores = std::max(machine.cores, static_cast<int>(usable_cores().size()));
  machine.cpu_quota = base::cpu_quota();
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
  return machine;
}

}  // namespace outerloop::cli
