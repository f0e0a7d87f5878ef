// Who started this process, by its environment; and the exit status that rank 0 leaves for scripts/mpirun.
#include <fstream>
#include <map>
#include <sstream>

#include "common/base/cores.h"
#include "common/net/launch.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"

namespace outerloop::tests {
namespace {

using Variables = std::map<std::string, std::string>;

net::Environment environment(const Variables& variables) {
  return [variables](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
}

bool alone(const Variables& variables, int world = 1) {
  return net::alone_among_tasks(world, environment(variables)).has_value();
}

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

const Variables kBatchShell = {
    {"SLURM_JOB_ID", "7"}, {"SLURM_NTASKS", "4"}, {"SLURM_PROCID", "0"}, {"SLURM_LOCALID", "0"}};

Variables with(Variables variables, const Variables& more) {
  variables.insert(more.begin(), more.end());
  return variables;
}

}  // namespace

TEST_CASE("one of several tasks of srun that MPI does not join is told so, with the remedy") {
  const Variables task = {{"SLURM_JOB_ID", "7"},
                          {"SLURM_NTASKS", "4"},
                          {"SLURM_PROCID", "2"},
                          {"SLURM_STEP_ID", "0"},
                          {"SLURM_STEP_NUM_TASKS", "3"}};
  const auto line = net::alone_among_tasks(1, environment(task));
  REQUIRE(line);
  CHECK(line->find("this is task 2 of 3 that srun started") == 0);
  CHECK(line->find("scripts/mpirun -n 3") != std::string::npos);
  CHECK(line->find("srun --mpi=pmix") != std::string::npos);
  CHECK(line->find('\n') == std::string::npos);
  CHECK(net::unreachable_launcher(environment(task)) == line);
  CHECK_FALSE(alone(task, 3));
}

TEST_CASE("a batch script's shell, a step of one task and a plain process are no lonely ranks") {
  CHECK_FALSE(alone({}));
  CHECK_FALSE(alone(kBatchShell));
  CHECK_FALSE(alone(with(kBatchShell, {{"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "1"}})));
  CHECK_FALSE(net::unreachable_launcher(environment(kBatchShell)));
  // The same allocation's srun: with a step, or a task other than the first.
  CHECK(alone(with(kBatchShell, {{"SLURM_STEP_ID", "0"}})));
  CHECK(alone({{"SLURM_NTASKS", "4"}, {"SLURM_PROCID", "1"}}));
}

TEST_CASE("another MPI's mpirun, and one of another version, leave lonely ranks") {
  CHECK(alone({{"PMI_RANK", "0"}, {"PMI_SIZE", "3"}}));
  CHECK(alone({{"MPIRUN_RANK", "1"}, {"MPIRUN_NPROCS", "2"}}));
  CHECK(alone({{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "2"}, {"PMIX_NAMESPACE", "x"}}));
  CHECK_FALSE(alone({{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "1"}}));
  CHECK(
      net::unreachable_launcher(environment({{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "2"}})));
  // mpirun's daemons on a job's other nodes are tasks of srun: the ranks below them are mpirun's.
  const Variables below = {{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "1"},
                           {"SLURM_PROCID", "1"},         {"SLURM_STEP_ID", "0"},
                           {"SLURM_STEP_NUM_TASKS", "2"}, {"PMIX_NAMESPACE", "x"}};
  CHECK_FALSE(alone(below));
}

TEST_CASE("variables of a job that has ended are named, with what to unset") {
  // Port 1 of loopback: nobody listens there.
  const auto line = net::unreachable_launcher(environment(
      {{"PMIX_NAMESPACE", "1"}, {"PMIX_RANK", "0"}, {"PMIX_SERVER_URI2", "1.0;tcp4://127.0.0.1:1"}}));
  REQUIRE(line);
  CHECK(line->find("has ended") != std::string::npos);
  CHECK(line->find("unset ${!PMIX_@} ${!OMPI_@}") != std::string::npos);
  CHECK_FALSE(
      net::unreachable_launcher(environment({{"PMIX_NAMESPACE", "1"}, {"PMIX_SERVER_URI2", "nonsense"}})));
}

TEST_CASE("whatever rank the environment names, a process that no mpirun started itself speaks") {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID", "PMI_RANK"})
    CHECK(net::speaks_for_its_program(environment({{name, "3"}, {"OMPI_FIRST_RANKS", "0"}})));
}

TEST_CASE(
    "ranks have longer to find each other where many share a core, or as long as the environment says") {
  CHECK(net::start_seconds(environment({})) == 120.0);
  CHECK(net::start_seconds(environment({{"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}})) == 120.0);
  const std::string crowd = std::to_string(base::available_cores() * 40);
  CHECK(net::start_seconds(environment({{"OMPI_COMM_WORLD_LOCAL_SIZE", crowd.c_str()}})) == Approx(1200.0));
  CHECK(net::start_seconds(environment({{"OUTERLOOP_START_SECONDS", "7.5"}})) == 7.5);
  CHECK(net::start_seconds(environment({{"OUTERLOOP_START_SECONDS", "soon"}})) == 120.0);
}

TEST_CASE("rank 0 of several hosts knows that it is") {
  const auto rank = [&](const char* number, const char* here) {
    return net::leads_several_hosts(environment({{"OMPI_COMM_WORLD_RANK", number},
                                                 {"OMPI_COMM_WORLD_SIZE", "4"},
                                                 {"OMPI_COMM_WORLD_LOCAL_SIZE", here}}));
  };
  CHECK(rank("0", "2"));
  CHECK_FALSE(rank("0", "4"));
  CHECK_FALSE(rank("1", "2"));
  CHECK_FALSE(net::leads_several_hosts(environment({})));
}

TEST_CASE("rank 0 alone leaves its status, in a file that is there already") {
  const TemporaryFolder folder;
  const std::string file = folder / "status";
  const auto rank = [&](const char* number) {
    return environment({{"OUTERLOOP_STATUS_FILE", file}, {"OMPI_COMM_WORLD_RANK", number}});
  };
  net::leave_mark("met", rank("0"));
  CHECK(net::leave_status(2, rank("0")) == 2);  // no file: rank 0 is on another host
  CHECK_FALSE(std::filesystem::exists(file));
  std::ofstream(file).close();
  net::leave_mark("met", rank("1"));
  net::leave_mark("met", rank("0"));
  // No mpirun is this test's parent: the status is also its own.
  CHECK(net::leave_status(2, rank("0")) == 2);
  CHECK(net::leave_status(1, rank("1")) == 1);
  CHECK(text_of(file) == "met\n2\n");
  CHECK(net::leave_status(1, environment({{"OUTERLOOP_STATUS_FILE", file},
                                          {"OMPI_COMM_WORLD_RANK", "0"},
                                          {"OMPI_PARENT_PORT", "a replacement's"}})) == 1);
  CHECK(net::leave_status(1, environment({{"OMPI_COMM_WORLD_RANK", "0"}})) == 1);
  CHECK(text_of(file) == "met\n2\n");
  net::leave_status_to_others();
  net::leave_status(0, rank("0"));
  CHECK(text_of(file) == "met\n2\n");
}

}  // namespace outerloop::tests
