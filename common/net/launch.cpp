#include "common/net/launch.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/base/cores.h"

namespace outerloop::net {
namespace {

bool status_is_others = false;

std::optional<int> number_in(const Environment& environment, const char* name) {
  const char* text = environment(name);
  if (!text || *text < '0' || *text > '9') return std::nullopt;
  return std::atoi(text);
}

bool is_set(const Environment& environment, const char* name) {
  const char* text = environment(name);
  return text && *text != '\0';
}

/// Whether a process of this name starts ranks: mpirun and its daemons, Slurm's step.
bool is_launcher(const std::string& name) {
  for (const char* launcher :
       {"mpirun", "mpiexec", "orterun", "orted", "prterun", "prted", "prte", "slurmstepd"})
    if (name.rfind(launcher, 0) == 0) return true;
  return false;
}

/// Whether mpirun, its daemon or Slurm's started this process directly, with no shell in between.
bool started_by_launcher() {
  const std::string parent = "/proc/" + std::to_string(getppid());
  std::error_code error;
  const auto program = std::filesystem::read_symlink(parent + "/exe", error);
  if (!error) return is_launcher(program.filename().string());
  std::string name;  // another user's process, such as Slurm's, shows only its name
  std::ifstream(parent + "/comm") >> name;
  return is_launcher(name);
}

std::optional<Task> slurm_task(const Environment& environment) {
  const auto number = number_in(environment, "SLURM_PROCID");
  if (!number) return std::nullopt;
  auto of = number_in(environment, "SLURM_STEP_NUM_TASKS");
  // The shell of a batch script is task 0 of a step without a number.
  const bool in_step = number_in(environment, "SLURM_STEP_ID") || number_in(environment, "SLURM_STEPID");
  if (!of && (in_step || *number > 0)) of = number_in(environment, "SLURM_NTASKS");
  if (!of) return std::nullopt;
  return Task{*number, *of, "srun"};
}

/// The address of PMIx's server in a text such as "4211.0;tcp4://127.0.0.1:36033"; none if there is none.
std::optional<sockaddr_in> address_in(const std::string& uri) {
  constexpr const char* kScheme = "tcp4://";
  const std::size_t begin = uri.find(kScheme);
  if (begin == std::string::npos) return std::nullopt;
  const std::string place = uri.substr(begin + std::string(kScheme).size());
  const std::size_t colon = place.find(':');
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  if (colon == std::string::npos ||
      inet_pton(AF_INET, place.substr(0, colon).c_str(), &address.sin_addr) != 1)
    return std::nullopt;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(place.c_str() + colon + 1)));
  return address;
}

/// Does not block for long: the server is on this host, and a refusal comes at once.
bool refuses(const sockaddr_in& address) {
  const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return false;
  const int result = connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const bool refused = result != 0 && errno == ECONNREFUSED;
  close(descriptor);
  return refused;
}

/// Whether this program's MPI supports PMI, Slurm's older protocol: Open MPI 4 may have a plugin for it.
bool has_pmi_plugin() {
  Dl_info info = {};
  void* mpi = dlsym(RTLD_DEFAULT, "MPI_Init");
  if (!mpi || dladdr(mpi, &info) == 0 || !info.dli_fname) return true;  // unknown
  std::error_code error;
  const auto library = std::filesystem::canonical(info.dli_fname, error).parent_path();
  bool seen = false;
  for (const char* folder : {"openmpi", "openmpi3"}) {
    for (const char* plugin : {"mca_pmix_s1.so", "mca_pmix_s2.so", "mca_pmix_cray.so"})
      if (std::filesystem::exists(library / folder / plugin, error)) return true;
    seen = seen || std::filesystem::is_directory(library / folder, error);
  }
  return !seen;
}

std::string said(const Task& task, const std::string& why) {
  std::ostringstream line;
  line << "this is task " << task.number << " of " << task.of << " that " << task.launcher
       << " started, but MPI sees one rank: " << why << "; start all ranks as one job by scripts/mpirun -n "
       << task.of;
  if (task.launcher == "srun")
    line << ", or by srun --mpi=pmix if srun --mpi=list has that (for a separate run in each task: env -u "
            "SLURM_PROCID outerloop train ...)";
  return line.str();
}

std::string why_alone(const Task& task) {
  if (task.launcher == "srun") return "srun did not offer a PMIx that this program's MPI supports";
  return task.launcher + " belongs to another MPI than this program's";
}

}  // namespace

const char* process_environment(const char* name) { return std::getenv(name); }

std::optional<Task> task_of(const Environment& environment) {
  struct Names {
    const char *number, *of, *launcher;
  };
  for (const Names& names : {Names{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "an mpirun of Open MPI"},
                             Names{"PMI_RANK", "PMI_SIZE", "an mpirun (or srun) with PMI"},
                             Names{"MPIRUN_RANK", "MPIRUN_NPROCS", "mpirun_rsh"}}) {
    const auto number = number_in(environment, names.number), of = number_in(environment, names.of);
    if (number && of) return Task{*number, *of, names.launcher};
  }
  return slurm_task(environment);
}

std::optional<std::string> alone_among_tasks(int world, const Environment& environment) {
  const auto task = task_of(environment);
  if (world > 1 || !task || task->of <= 1) return std::nullopt;
  return said(*task, why_alone(*task));
}

std::optional<std::string> unreachable_launcher(const Environment& environment) {
  if (!is_set(environment, "PMIX_NAMESPACE") && !is_set(environment, "PMIX_RANK")) {
    // PMI of Hydra or Slurm, or Open MPI's variables without the address of its mpirun.
    const auto task = task_of(environment);
    if (task && task->of > 1 && !(is_set(environment, "PMI_RANK") && has_pmi_plugin()))
      return said(*task, why_alone(*task));
    return std::nullopt;
  }
  if (started_by_launcher()) return std::nullopt;
  for (const char* name : {"PMIX_SERVER_URI41", "PMIX_SERVER_URI4", "PMIX_SERVER_URI3", "PMIX_SERVER_URI2"}) {
    if (!is_set(environment, name)) continue;
    const auto address = address_in(environment(name));
    if (address && refuses(*address))
      return std::string("the environment is that of an MPI job which has ended (") + name + "=" +
             environment(name) +
             ", where nothing listens); unset its variables: unset ${!PMIX_@} ${!OMPI_@}, in bash";
    return std::nullopt;
  }
  return std::nullopt;
}

bool speaks_for_its_program(const Environment& environment) {
  const auto rank = number_in(environment, "OMPI_COMM_WORLD_RANK");
  if (!rank || !started_by_launcher()) return true;
  if (!is_set(environment, "OMPI_FIRST_RANKS"))
    return *rank == 0;  // Open MPI 5 has it in MPI_Init at the earliest
  std::istringstream first_ranks(environment("OMPI_FIRST_RANKS"));
  for (int first = 0; first_ranks >> first;)
    if (first == *rank) return true;
  return false;
}

namespace {

/// Appends a line to the status file of scripts/mpirun; false if there is no such file.
bool append(const Environment& environment, const std::string& line) {
  if (!is_set(environment, "OUTERLOOP_STATUS_FILE")) return false;
  const int file = open(environment("OUTERLOOP_STATUS_FILE"), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return false;
  const std::string bytes = line + "\n";
  const bool whole = write(file, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
  return close(file) == 0 && whole;
}

bool is_rank_0(const Environment& environment) {
  return number_in(environment, "OMPI_COMM_WORLD_RANK").value_or(-1) == 0 && !status_is_others &&
         !is_set(environment, "OMPI_PARENT_PORT");
}

}  // namespace

double start_seconds(const Environment& environment) {
  constexpr double kSeconds = 120.0, kRanksOnACore = 4.0;
  if (is_set(environment, "OUTERLOOP_START_SECONDS")) {
    const double seconds = std::atof(environment("OUTERLOOP_START_SECONDS"));
    if (seconds > 0.0) return seconds;
  }
  const double ranks = number_in(environment, "OMPI_COMM_WORLD_LOCAL_SIZE").value_or(1);
  return kSeconds * std::max(1.0, ranks / base::available_cores() / kRanksOnACore);
}

bool leads_several_hosts(const Environment& environment) {
  const auto size = number_in(environment, "OMPI_COMM_WORLD_SIZE");
  const auto here = number_in(environment, "OMPI_COMM_WORLD_LOCAL_SIZE");
  return is_rank_0(environment) && size && here && *here < *size;
}

int leave_status(int exit_code, const Environment& environment) {
  if (!is_set(environment, "OUTERLOOP_STATUS_FILE")) return exit_code;
  if (is_rank_0(environment) && !append(environment, std::to_string(exit_code))) return exit_code;
  return started_by_launcher() ? 0 : exit_code;
}

void leave_mark(const std::string& mark, const Environment& environment) {
  if (is_rank_0(environment)) append(environment, mark);
}

void leave_status_to_others() { status_is_others = true; }

}  // namespace outerloop::net
