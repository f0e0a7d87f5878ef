#include "cli/doctor_launch.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

namespace outerloop::cli {
namespace {

// Open MPI 4.1's mpirun writes "pmix" and the name up to its first dot into 64 bytes, and aborts from 57
// letters on. scripts/launch.sh has the same number.
constexpr std::size_t kLongestHostName = 56;

bool takes_no_letter(char letter) {
  return !((letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
           (letter >= '0' && letter <= '9') || letter == '-' || letter == '.');
}

/// Why Open MPI 4's mpirun aborts; empty if it does not.
std::string problem_of_host_name(const Machine& machine) {
  const std::string& host = machine.launch.host;
  if (major_version(machine.mpi) != 4) return "";
  const std::size_t length = host.substr(0, host.find('.')).size();
  if (length > kLongestHostName)
    return fmt::format("{} has {} characters; mpirun of Open MPI 4 aborts beyond {}", host, length,
                       kLongestHostName);
  const auto letter = std::find_if(host.begin(), host.end(), takes_no_letter);
  if (letter != host.end())
    return fmt::format("{}: mpirun of Open MPI 4 takes letters, digits, '-' and '.' only", host);
  return "";
}

/// A job in which mpirun needs srun, but srun is not installed here.
bool lacks_srun(const SlurmJob& job) { return !job.id.empty() && !job.here && !job.srun; }

/// mpirun can use neither the temporary folder nor its substitute.
bool lacks_folder(const LaunchState& launch) {
  return !launch.temporary_problem.empty() && !launch.shared_memory_problem.empty();
}

}  // namespace

int major_version(const std::string& text) {
  for (std::size_t i = 0; i + 1 < text.size(); ++i)
    if ((text[i] == ' ' || text[i] == 'v') && text[i + 1] >= '0' && text[i + 1] <= '9')
      return std::atoi(text.c_str() + i + 1);
  return 0;
}

int ranks_here(const Machine& machine) {
  const SlurmJob& job = machine.launch.job;
  return !job.id.empty() && !job.here ? std::max(2, job.tasks) : machine.cores + 1;
}

std::string cores_text(const Machine& machine) {
  const auto text = [](int cores) { return fmt::format("{} core{}", cores, cores == 1 ? "" : "s"); };
  const SlurmJob& job = machine.launch.job;
  if (!job.id.empty() && !job.here)
    return fmt::format("{} task{} on {} node{} of Slurm's job {}", job.tasks, job.tasks == 1 ? "" : "s",
                       job.node_count, job.node_count == 1 ? "" : "s", job.id);
  if (machine.cores >= machine.all_cores && !(machine.cpu_quota && *machine.cpu_quota < machine.cores))
    return text(machine.cores);
  if (machine.cpu_quota && *machine.cpu_quota <= machine.cores)
    return fmt::format("{} by a CPU quota of {:.3g} (of {})", text(machine.cores), *machine.cpu_quota,
                       text(machine.all_cores));
  return fmt::format("{} of Slurm's job {} (of {})", text(machine.cores), job.id, text(machine.all_cores));
}

bool can_launch(const Machine& machine) {
  return !machine.launcher.empty() && problem_of_host_name(machine).empty() &&
         !lacks_srun(machine.launch.job) && !lacks_folder(machine.launch);
}

Finding host_name_finding(const Machine& machine) {
  const std::string problem = problem_of_host_name(machine);
  if (problem.empty()) return {"host name", true, machine.launch.host, ""};
  return {
      "host name", false, problem,
      "a shorter, plain one: hostname NAME as root, docker run --hostname NAME, a pod's spec.hostname; one "
      "process runs without mpirun: outerloop train"};
}

Finding temporary_folder_finding(const Machine& machine) {
  const LaunchState& launch = machine.launch;
  if (launch.temporary_problem.empty()) return {"temporary", true, launch.temporary_folder, ""};
  const std::string what =
      fmt::format("mpirun cannot use {}: {}", launch.temporary_folder, launch.temporary_problem);
  if (lacks_folder(launch))
    return {"temporary", false, fmt::format("{}; nor /dev/shm: {}", what, launch.shared_memory_problem),
            "free some space, or use a writable folder of this host: export TMPDIR=FOLDER"};
  return {"temporary", false, what,
          fmt::format("TMPDIR=/dev/shm {} -n {} ... (the script does so by itself)", launch.script,
                      ranks_here(machine))};
}

Finding launcher_finding(const Machine& machine) {
  const std::string& alone = machine.launch.alone;
  if (alone.empty()) return {"launch", true, "no variables of another launcher interfere", ""};
  const std::size_t end = alone.find("; ");
  return {"launch", false, alone.substr(0, end), end == std::string::npos ? alone : alone.substr(end + 2)};
}

Finding slurm_finding(const Machine& machine) {
  const SlurmJob& job = machine.launch.job;
  if (lacks_srun(job))
    return {"Slurm", false,
            fmt::format("SLURM_JOB_ID={} is set (nodes {}), but there is no srun here, as in a container",
                        job.id, job.nodes.empty() ? "unknown" : job.nodes),
            fmt::format(
                "for ranks on this host alone: unset ${{!SLURM_@}} (in bash), then {} -n {}; for the job's "
                "nodes call mpirun outside of the container",
                machine.launch.script, machine.cores + 1)};
  if (!job.id.empty() && job.here)
    return {"Slurm", true,
            fmt::format("inside job {}: any number of ranks can share its cores on this node", job.id), ""};
  if (!job.id.empty())
    return {"Slurm", true,
            fmt::format("inside job {}: {} -n {} fills its {} node{}", job.id, machine.launch.script,
                        ranks_here(machine), job.node_count, job.node_count == 1 ? "" : "s"),
            ""};
  if (machine.slurm)
    return {"Slurm", true, "here: sbatch scripts/slurm/train.sbatch RUN_DIR CONFIG (docs/slurm.md)", ""};
  return {"Slurm", true, "not here, and not needed", ""};
}

}  // namespace outerloop::cli
