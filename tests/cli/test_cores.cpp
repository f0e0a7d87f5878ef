// Cores: which a worker keeps, and what is said where its threads have too few.
#include "cli/support/cores.h"
#include "tests/catch.h"
#include "tests/cli/run_command.h"

namespace outerloop::tests {

using cli::cores_of_worker;
using Cores = std::vector<int>;

TEST_CASE("workers that fill all cores each keep as many as they have threads") {
  CHECK(cores_of_worker({3, 5}, 2, 0, 1) == Cores{3});
  CHECK(cores_of_worker({3, 5}, 2, 1, 1) == Cores{5});
  CHECK(cores_of_worker({0, 1, 2, 8, 9, 10}, 2, 1, 3) == Cores{8, 9, 10});
  CHECK(cores_of_worker({0, 1}, 1, 0, 2) == Cores{0, 1});
}

TEST_CASE("workers that do not fill all cores keep none") {
  CHECK(cores_of_worker({0, 1, 2}, 2, 0, 1).empty());
  CHECK(cores_of_worker({0, 1, 2, 3}, 1, 0, 2).empty());
  CHECK(cores_of_worker({0}, 1, 0, 2).empty());
  CHECK(cores_of_worker({}, 1, 0, 1).empty());
}

TEST_CASE("a process stays where it is told, and that is what it may use") {
  const Cores all = cli::usable_cores();
  REQUIRE_FALSE(all.empty());
  REQUIRE(cli::stay_on({all.back()}));
  CHECK(cli::usable_cores() == Cores{all.back()});
  REQUIRE(cli::stay_on(all));
  CHECK(cli::usable_cores() == all);
}

TEST_CASE("too few cores are said in one line, with what to do") {
  CHECK(cli::too_few_cores(2, 2, 1).empty());
  CHECK(cli::too_few_cores(1, 64, 1).empty());
  CHECK(cli::too_few_cores(4, 0, 1).empty());  // the system does not say
  const std::string line = cli::too_few_cores(4, 2, 7);
  CHECK(line.find("engine.threads = 4, but rank 7 may use 2 cores only") == 0);
  CHECK(line.find("set engine.threads = 2") != std::string::npos);
}

TEST_CASE("threads that do not pay are said in one line, between the sizes that were measured") {
  const auto line = cli::too_small_for_threads;
  // The sizes laptop and paper of `outerloop bench engine`, then the presets overnight and cluster.
  CHECK(line(2, 48, 64, 16)
            .find("engine.threads = 2, but the largest base models (48 units, minibatches of 64, "
                  "16 channels) are too small") == 0);
  CHECK(line(2, 128, 128, 64).empty());
  CHECK(line(2, 256, 128, 16).empty());
  CHECK(line(2, 256, 128, 32).empty());
  CHECK(line(1, 48, 64, 16).empty());
  CHECK_FALSE(line(1024, 1, 2, 1).empty());
  CHECK(line(2, 100000, 100000, 4096).empty());  // the largest that a configuration may have
}

TEST_CASE("a run whose threads share a core warns once and gives the bits of one thread") {
  const TemporaryFolder folder;
  const int core = cli::usable_cores().front();
  const auto run = [&](const std::string& name, const std::string& more) {
    return run_shell("taskset -c " + std::to_string(core) + " " + executable() + " train smoke --run-dir " +
                     (folder / name) + " --set updates=3 " + more);
  };
  const auto hash = [&](const std::string& name) {
    return read_json(folder / (name + "/result.json")).at("theta_sha256").get<std::string>();
  };
  const auto one = run("one", "");
  INFO(one.err);
  REQUIRE(one.exit_code == 0);
  CHECK(occurrences(one.err, "engine.threads") == 0);
  const auto two = run("two", "--set engine.threads=2");
  INFO(two.err);
  REQUIRE(two.exit_code == 0);
  CHECK(occurrences(two.err, "engine.threads = 2, but rank 0 may use 1 core only") == 1);
  CHECK(occurrences(two.out, "2 threads") == 1);
  CHECK(occurrences(two.err, "(12 units, minibatches of 16, 4 channels) are too small for threads to pay") ==
        1);
  CHECK(hash("two") == hash("one"));
}

}  // namespace outerloop::tests
