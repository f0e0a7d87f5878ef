// outerloop doctor: what it says of machines that lack something, and that it runs here.
#include <algorithm>

#include "cli/doctor.h"
#include "tests/catch.h"
#include "tests/cli/run_command.h"

using namespace outerloop;
using namespace outerloop::tests;
using cli::Finding;
using cli::Machine;

namespace {

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

Machine good_machine() {
  Machine machine;
  machine.mpi = "Open MPI v4.1.4";
  machine.launcher = "mpirun (Open MPI) 4.1.4";
  machine.cores = 8;
  machine.memory = 16 * kGiB;
  machine.instruction_sets = {"avx2", "sse4", "baseline"};
  machine.reference = "reference float32 cpu, 1 thread, LibTorch 1.13.1";
  machine.blas = "OpenBLAS 0.3.21 NO_LAPACKE";
  machine.datasets = {{"glyphs", ""}, {"fashion_mnist", ""}};
  machine.folder = "/data";
  machine.disk_free = 100 * kGiB;
  machine.shared_memory_free = 8 * kGiB;
  machine.open_files = 1024;
  return machine;
}

Finding finding(const Machine& machine, const std::string& name) {
  for (const auto& each : cli::diagnose(machine))
    if (each.name == name) return each;
  FAIL("no finding " + name);
  return {};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Only this finding is a warning, and says what to do.
void warns_of(const Machine& machine, const std::string& name, const std::string& what,
              const std::string& remedy) {
  for (const auto& each : cli::diagnose(machine)) {
    INFO(each.name << ": " << each.what << " -> " << each.remedy);
    CHECK(each.ok == (each.name != name));
  }
  INFO(finding(machine, name).what);
  CHECK(contains(finding(machine, name).what, what));
  INFO(finding(machine, name).remedy);
  CHECK(contains(finding(machine, name).remedy, remedy));
}

template <class Change>
Machine machine_with(const Change& change) {
  Machine machine = good_machine();
  change(machine);
  return machine;
}

}  // namespace

TEST_CASE("a machine that has everything gets no warning, and the lines that start a run on all its cores") {
  for (const auto& each : cli::diagnose(good_machine())) {
    INFO(each.name << ": " << each.what);
    CHECK(each.ok);
    CHECK(each.remedy.empty());
  }
  CHECK(contains(finding(good_machine(), "ranks").what, "scripts/mpirun -n 9"));
  CHECK(contains(finding(good_machine(), "slots").what, "mpirun --oversubscribe -n 9"));
  CHECK(contains(finding(good_machine(), "slots").what, "localhost slots=9"));
  CHECK(contains(finding(good_machine(), "recovery").what, "--enable-recovery"));
}

TEST_CASE("what is missing is one warning that says what to do") {
  warns_of(machine_with([](Machine& m) { m.launcher = ""; }), "MPI", "no mpirun", "openmpi-bin");
  warns_of(machine_with([](Machine& m) { m.launcher = "mpirun (Open MPI) 5.0.7"; }), "MPI", "5.0.7", "PATH");
  warns_of(machine_with([](Machine& m) {
             m.mpi = m.launcher = "Open MPI v5.0.7";
             m.ulfm = false;
           }),
           "recovery", "ends the whole job", "ULFM");
  warns_of(machine_with([](Machine& m) { m.memory = kGiB; }), "ranks", "1.0 GiB", "-n 2");
  warns_of(machine_with([](Machine& m) { m.instruction_sets = {"baseline"}; }), "instructions",
           "baseline only", "slower");
  warns_of(machine_with([](Machine& m) {
             m.reference = "";
             m.reference_problem = "no such file";
           }),
           "LibTorch", "no such file", "needed only for");
  warns_of(machine_with([](Machine& m) {
             m.gpus = 2;
             m.cuda_problem = "built without CUDA";
           }),
           "devices", "2 GPUs are not used: built without CUDA", "device=cuda");
  warns_of(machine_with([](Machine& m) { m.blas = "libblas.so.3"; }), "BLAS", "not OpenBLAS",
           "docs/install.md");
  warns_of(machine_with([](Machine& m) {
             m.datasets.push_back({"crops", "install gnome-backgrounds"});
           }),
           "datasets", "missing: crops", "install gnome-backgrounds");
  warns_of(machine_with([](Machine& m) { m.disk_free = kGiB / 2; }), "disk", "512 MiB free in /data",
           "--run-dir");
  warns_of(machine_with([](Machine& m) { m.network_file_system = "NFS"; }), "file locks", "NFS",
           "HDF5_USE_FILE_LOCKING=FALSE");
  warns_of(machine_with([](Machine& m) { m.shared_memory_free = kGiB / 16; }), "shm", "64 MiB", "--shm-size");
  warns_of(machine_with([](Machine& m) { m.open_files = 256; }), "limits", "256", "ulimit -n");
}

TEST_CASE("what keeps several ranks from starting is a warning, with the command that works here") {
  const auto launch_with = [](const auto& change) {
    return machine_with([&](Machine& m) { change(m.launch); });
  };
  warns_of(machine_with([](Machine& m) {
             m.launcher = "";
             m.launch.other_mpirun = "/opt/mpich/bin/mpirun";
           }),
           "MPI", "/opt/mpich/bin/mpirun is not its mpirun", "openmpi-bin");
  warns_of(launch_with([](auto& l) { l.host = std::string(57, 'h'); }), "host name", "57 characters",
           "--hostname");
  warns_of(launch_with([](auto& l) { l.host = "a_b"; }), "host name", "letters, digits", "outerloop train");
  warns_of(launch_with([](auto& l) { l.temporary_problem = "No space left on device"; }), "temporary",
           "/tmp: No space left", "TMPDIR=/dev/shm scripts/mpirun -n 9");
  warns_of(
      launch_with([](auto& l) { l.temporary_problem = l.shared_memory_problem = "Read-only file system"; }),
      "temporary", "nor /dev/shm", "export TMPDIR=FOLDER");
  warns_of(launch_with([](auto& l) { l.alone = "this is task 1 of 3; start all by scripts/mpirun -n 3"; }),
           "launch", "this is task 1 of 3", "start all by scripts/mpirun -n 3");
  const auto container = launch_with([](auto& l) { l.job = {"7", "node17", 1, 2, false, false}; });
  warns_of(container, "Slurm", "no srun here", "unset ${!SLURM_@}");
  CHECK(contains(finding(container, "ranks").what, "one process, without mpirun"));
  // Open MPI 5 has no such limit; a name with a domain counts up to its first dot.
  CHECK(
      finding(launch_with([](auto& l) { l.host = std::string(56, 'h') + ".example.org"; }), "host name").ok);
  CHECK(finding(machine_with([](Machine& m) {
                  m.mpi = "Open MPI v5.0.7";
                  m.launch.host = std::string(57, 'h');
                }),
                "host name")
            .ok);
}

TEST_CASE("the number of ranks follows quotas and Slurm's job, and says so") {
  const auto ranks = [](const auto& change) { return finding(machine_with(change), "ranks").what; };
  const auto quota = ranks([](Machine& m) {
    m.cores = 2;
    m.all_cores = 8;
    m.cpu_quota = 1.5;
  });
  CHECK(contains(quota, "2 cores by a CPU quota of 1.5 (of 8 cores): scripts/mpirun -n 3"));
  const auto here = ranks([](Machine& m) {
    m.cores = 2;
    m.all_cores = 8;
    m.launch.job = {"7", "node1", 1, 1, true, true};
  });
  CHECK(contains(here, "2 cores of Slurm's job 7 (of 8 cores): scripts/mpirun -n 3"));
  const auto nodes = ranks([](Machine& m) { m.launch.job = {"7", "node[1-2]", 2, 64, false, true}; });
  CHECK(contains(nodes, "64 tasks on 2 nodes of Slurm's job 7: scripts/mpirun -n 64"));
  const auto other = machine_with([](Machine& m) {
    m.launch.other_mpirun = "/opt/mpich/bin/mpirun";
    m.launch.mpirun = "/usr/bin/mpirun.openmpi";
  });
  CHECK(contains(finding(other, "slots").what, "/usr/bin/mpirun.openmpi --oversubscribe -n 9"));
  CHECK(contains(finding(other, "MPI").what, "another MPI's"));
}

TEST_CASE("ULFM, GPUs and Slurm are told of") {
  const auto machine = machine_with([](Machine& m) {
    m.mpi = "Open MPI v5.0.7";
    m.launcher = "mpirun (Open MPI) 5.0.7";
    m.ulfm = true;
    m.gpus = 1;
    m.cuda = "reference float32 cuda";
    m.slurm = true;
  });
  for (const auto& each : cli::diagnose(machine)) CHECK(each.ok);
  CHECK(contains(finding(machine, "recovery").what, "ULFM"));
  CHECK(contains(finding(machine, "devices").what, "reference float32 cuda"));
  CHECK(contains(finding(machine, "Slurm").what, "train.sbatch"));
  auto inside = machine;
  inside.launch.job = {"17", "node1", 1, 1, true, true};
  CHECK(contains(finding(inside, "Slurm").what, "inside job 17"));
}

TEST_CASE("the command fits on one screen, and writes the same as JSON") {
  const TemporaryFolder folder;
  const auto finished = run_alone("doctor --json " + (folder / "doctor.json"));
  INFO(finished.out << finished.err);
  CHECK(finished.exit_code == 0);
  CHECK(occurrences(finished.out, "\n") <= 40);
  CHECK(contains(finished.out, "Open MPI"));
  const auto checks = read_json(folder / "doctor.json").at("checks");
  CHECK(checks.size() == cli::diagnose(good_machine()).size());
  for (const auto& each : checks) {
    CHECK_FALSE(each.at("name").get<std::string>().empty());
    CHECK(each.at("message").is_string());
    CHECK(each.at("ok").get<bool>() == each.at("remedy").get<std::string>().empty());
  }
  const auto missing = run_alone("doctor --dir /no/such/folder");
  CHECK(missing.exit_code == 2);
  CHECK(contains(missing.err, "/no/such/folder: no such folder"));
}
