// outerloop bench end to end: its tables, its JSON, its exit codes.
#include <algorithm>
#include <map>
#include <set>

#include "tests/catch.h"
#include "tests/cli/run_command.h"

namespace outerloop::tests {
namespace {

using nlohmann::json;

/// The engines that this build has, as --engines names them.
std::vector<std::string> engines_here() {
  std::vector<std::string> engines;
  for (const std::string name : {"fused", "reference"})
    if (run_alone("bench engine --sizes laptop --inner-steps 1 --repetitions 1 --engines " + name)
            .exit_code == 0)
      engines.push_back(name);
  return engines;
}

}  // namespace

TEST_CASE("bench engine measures every engine in both directions") {
  const auto engines = engines_here();
  REQUIRE_FALSE(engines.empty());
  std::string list;
  for (const auto& engine : engines) list += (list.empty() ? "" : ",") + engine;
  const TemporaryFolder folder;
  const auto run = run_alone("bench engine --sizes laptop --inner-steps 2 --repetitions 2 --engines " + list +
                             " --json \"" + (folder / "bench.json") + "\"");
  INFO(run.err);
  REQUIRE(run.exit_code == 0);
  CHECK(occurrences(run.out, "gradient") >= static_cast<int>(engines.size()));

  const json result = read_json(folder / "bench.json");
  for (const char* key : {"cpu", "instruction_set", "blas"})
    CHECK_FALSE(result.at(key).get<std::string>().empty());
  const double peak = result.at("fma_peak_gflops");
  CHECK(peak > 0.1);
  CHECK(result.at("sgemm_gflops").get<double>() >= 0.0);
  REQUIRE(result.at("rows").size() == 2 * engines.size());
  std::map<std::string, double> gradient;
  std::set<std::string> seen;
  for (const auto& row : result.at("rows")) {
    const bool whole = row.at("direction") == "gradient";
    seen.insert(row.at("engine").get<std::string>() + " " + row.at("direction").get<std::string>());
    const double milliseconds = row.at("ms_per_inner_step"), gflops = row.at("gflops");
    CHECK(row.at("size") == "laptop");
    CHECK(row.at("precision") == "float32");
    CHECK(row.at("threads") == 1);
    CHECK(row.at("k") == 2);
    CHECK(milliseconds > 0.0);
    CHECK(gflops * milliseconds == Approx(whole ? 1070.0 : 1070.0 / 3));
    CHECK(row.at("fraction_of_peak").get<double>() == Approx(gflops / peak));
    CHECK(row.at("peak_bytes").get<std::int64_t>() > 0);
    CHECK(row.at("ms_least").get<double>() <= milliseconds);
    CHECK(row.at("ms_most").get<double>() >= milliseconds);
    if (whole) gradient[row.at("engine")] = milliseconds;
    CHECK(row.contains("parts") == (whole && row.at("engine") == "fused"));
    if (!row.contains("parts")) continue;
    double sum = 0.0;
    for (const auto& part : row.at("parts")) sum += part.get<double>();
    CHECK(sum == Approx(1.0));
    CHECK(row.at("parts").at("convolutions").get<double>() > 0.0);
    CHECK(row.at("parts").at("meta_objective").get<double>() > 0.0);
  }
  CHECK(seen.size() == 2 * engines.size());
  if (engines.size() == 2)
    CHECK(result.at("ratio_to_reference").at("laptop").get<double>() ==
          Approx(gradient.at("reference") / gradient.at("fused")));
  else
    CHECK(result.at("ratio_to_reference").empty());
}

TEST_CASE("bench engine takes numbers of lanes, whose work it counts together") {
  const TemporaryFolder folder;
  const auto run =
      run_alone("bench engine --sizes laptop --inner-steps 1 --repetitions 1 --engines " +
                engines_here().back() + " --lanes 1,3 --json \"" + (folder / "bench.json") + "\"");
  INFO(run.err);
  REQUIRE(run.exit_code == 0);
  const json result = read_json(folder / "bench.json");
  CHECK(result.at("device") == "cpu");
  std::vector<int> lanes;
  for (const auto& row : result.at("rows")) {
    lanes.push_back(row.at("lanes"));
    const double work = row.at("direction") == "gradient" ? 1070.0 : 1070.0 / 3;
    CHECK(row.at("gflops").get<double>() * row.at("ms_per_inner_step").get<double>() ==
          Approx(work * lanes.back()));
  }
  CHECK(lanes == std::vector<int>{1, 1, 3, 3});
}

TEST_CASE("bench engine takes a number of threads, against whose cores' peak it compares") {
  const TemporaryFolder folder;
  const auto run = run_alone(
      "bench engine --sizes laptop --inner-steps 1 --repetitions 1 --engines fused --threads 2 --json \"" +
      (folder / "bench.json") + "\"");
  INFO(run.err);
  REQUIRE(run.exit_code == 0);
  CHECK(occurrences(run.out, "2 threads") == 1);
  const json result = read_json(folder / "bench.json");
  const double peak = result.at("fma_peak_gflops");
  REQUIRE(result.at("rows").size() == 2);
  for (const auto& row : result.at("rows")) {
    CHECK(row.at("threads") == 2);
    CHECK(row.at("fraction_of_peak").get<double>() == Approx(row.at("gflops").get<double>() / (2 * peak)));
    CHECK(row.at("arena_bytes").get<std::int64_t>() > 1 << 20);
    CHECK(row.at("arena_bytes").get<std::int64_t>() < 1 << 30);
  }
}

TEST_CASE("bench kernels measures every kernel, convolutions also with data from memory") {
  const TemporaryFolder folder;
  const auto run =
      run_alone("bench kernels --size laptop --repetitions 1 --json \"" + (folder / "k.json") + "\"");
  INFO(run.err);
  REQUIRE(run.exit_code == 0);
  const json result = read_json(folder / "k.json");
  const double peak = result.at("fma_peak_gflops");
  REQUIRE(result.at("rows").size() == 9);
  int from_memory = 0;
  for (const auto& row : result.at("rows")) {
    CHECK(occurrences(run.out, row.at("kernel").get<std::string>()) >= 1);
    const double microseconds = row.at("microseconds"), gflop = row.at("gflop");
    CHECK(row.at("fraction_of_peak").get<double>() == Approx(1e6 * gflop / microseconds / peak));
    CHECK(row.at("fraction_of_peak").get<double>() < 1.1);
    from_memory += row.contains("microseconds_from_memory") ? 1 : 0;
  }
  // 48 units, 64 examples, 3 taps, 16 x 16 channels; twice that backward
  CHECK(result.at("rows")[0].at("gflop").get<double>() == Approx(2e-9 * 48 * 64 * 3 * 16 * 16));
  CHECK(result.at("rows")[1].at("gflop").get<double>() == Approx(4e-9 * 48 * 64 * 3 * 16 * 16));
  CHECK(from_memory == 4);
}

TEST_CASE("bench unroll measures every length") {
  const TemporaryFolder folder;
  const auto run =
      run_alone("bench unroll --lengths 1,3 --repetitions 1 --json \"" + (folder / "u.json") + "\"");
  INFO(run.err);
  REQUIRE(run.exit_code == 0);
  const json result = read_json(folder / "u.json");
  CHECK(result.at("size") == "laptop");
  REQUIRE(result.at("rows").size() == 2);
  CHECK(result.at("rows")[0].at("k") == 1);
  CHECK(result.at("rows")[1].at("k") == 3);
  CHECK(result.at("fresh_architecture_ms").is_number());
  CHECK(occurrences(run.out, "A base model that the engine has not seen costs") == 1);
  for (const auto& row : result.at("rows")) {
    CHECK(row.at("ms_per_inner_step").get<double>() > 0.0);
    CHECK(row.at("peak_bytes").get<std::int64_t>() > 0);
  }
}

TEST_CASE("bench estimators measures bias and noise at every horizon") {
  const TemporaryFolder folder;
  REQUIRE(run_alone("train smoke --set updates=2 --run-dir " + (folder / "run")).exit_code == 0);
  const std::string rule = folder / "run/rule.h5";
  const auto run = run_alone("bench estimators " + rule + " --horizons 2,4,8 --truncation 2 --tasks 2 " +
                             "--replicates 8 --json \"" + (folder / "e.json") + "\"");
  INFO(run.err);
  REQUIRE(run.exit_code == 0);
  const json result = read_json(folder / "e.json");
  const auto& rows = result.at("rows");
  REQUIRE(rows.size() == 3);
  for (const auto& row : rows) {
    CHECK(row.at("whole_norm").get<double>() > 0.0);
    CHECK(row.at("truncated_norm").get<double>() > 0.0);
  }
  // The first truncation is not truncated at all; both kinds of evolution are the same there.
  CHECK(rows[0].at("truncated_cosine").get<double>() == Approx(1.0));
  CHECK(rows[0].at("evolution_noise").get<double>() ==
        Approx(rows[0].at("persistent_evolution_noise").get<double>()));
  CHECK(rows[0].at("noise_reuse_noise").get<double>() ==
        Approx(rows[0].at("persistent_evolution_noise").get<double>()));
  CHECK(rows[2].at("noise_reuse_noise").get<double>() > 0.0);
  CHECK(rows[2].at("truncated_cosine").get<double>() < 1.0);
  // About as much noise as θ has numbers, and more for every truncation that the persistent kind sums over.
  const auto numbers = result.at("parameters").get<double>();
  CHECK(rows[0].at("evolution_noise").get<double>() > 0.3 * numbers);
  CHECK(rows[0].at("evolution_noise").get<double>() < 3.0 * numbers);
  for (const char* wrong : {" --horizons 3 --truncation 2", " --horizons 4,2 --truncation 2"})
    CHECK(run_alone("bench estimators " + rule + wrong).exit_code == 2);
}

TEST_CASE("bench gradient agrees with central differences for rules of every kind") {
  const TemporaryFolder folder;
  const auto& trained = smoke_run();
  const auto largest = [&](const std::string& arguments) {
    const auto run = run_alone("bench gradient " + arguments + " --json " + (folder / "g.json"));
    INFO(arguments << ": " << run.out << run.err);
    REQUIRE(run.exit_code == 0);
    CHECK(occurrences(run.out, "Largest difference") == 1);
    const json result = read_json(folder / "g.json");
    CHECK(result.at("rows").size() > 2);
    double most = 0.0;
    for (const auto& row : result.at("rows")) most = std::max(most, row.at("difference").get<double>());
    CHECK(most == result.at("largest_difference").get<double>());
    return most;
  };
  CHECK(largest("smoke") < 1e-5);
  CHECK(largest("--set rule.name=supervised_sgd --inner-steps 5 --layers 9") < 1e-5);
  CHECK(largest(trained / "run/rule.h5") < 1e-5);
  CHECK(largest((trained / "run/checkpoints/latest") + " --noise 0") < 1e-5);
  if (engines_here().size() < 2) return;
  CHECK(largest("smoke --set engine.kind=reference") < 1e-5);
  const std::string module = folder / "rule.pt";
  REQUIRE(run_alone("export " + (trained / "run/rule.h5") + " --torchscript " + module).exit_code == 0);
  CHECK(largest("smoke --set rule.name=torchscript --set rule.path=" + module) < 1e-5);
}

TEST_CASE("bench gradient ends with exit code 1 where they disagree") {
  const auto run = run_alone("bench gradient smoke --tolerance 1e-14");
  CHECK(run.exit_code == 1);
  CHECK(occurrences(run.err, "\n") == 1);
  CHECK(run.err.rfind("outerloop: bench gradient: the gradient by ", 0) == 0);
  CHECK(occurrences(run.out, "Largest difference") == 1);
  for (const char* wrong : {"no_such.h5", "no_such_preset", "smoke --tolerance 0", "smoke --set ridge=0"})
    CHECK(run_alone(std::string("bench gradient ") + wrong).exit_code == 2);
}

TEST_CASE("bench coordinator feeds the real coordinator, beside the bare exchange") {
  const TemporaryFolder folder;
  const std::string options = "bench coordinator --workers 12 --floats 3000 --batch 5 --seconds 0.2 --json ";
  // Alone it starts mpirun with two ranks by itself.
  for (const int ranks : {1, 3}) {
    const std::string file = folder / std::to_string(ranks);
    const auto run = run_on_ranks(ranks, options + file + " --repetitions 2");
    INFO(run.err);
    REQUIRE(run.exit_code == 0);
    CHECK(occurrences(run.out, "ratio to bare MPI") == 1);
    const json result = read_json(file);
    CHECK(result.at("ranks") == std::max(2, ranks));
    CHECK(result.at("workers") == 12);
    CHECK(result.at("floats") == 3000);
    CHECK(result.at("batch") == 5);
    const double rate = result.at("gradients_per_second");
    CHECK(rate > 10.0);
    CHECK(result.at("bytes_per_second").get<double>() > 4.0 * 3000 * rate);
    CHECK(result.at("ratio_to_bare_mpi").get<double>() > 0.0);
    CHECK(result.at("peak_bytes").get<std::int64_t>() >= 0);
    // Gradients are not lost: each is in the histogram, and a dozen workers are two or three batches of five.
    std::int64_t counted = 0;
    for (const auto& [updates, gradients] : result.at("staleness").items()) {
      CHECK(std::stoi(updates) <= 6);  // the bound
      counted += gradients.get<std::int64_t>();
    }
    CHECK(counted == result.at("gradients"));
    CHECK(counted % 5 == 0);
    for (const char* part : {"receive", "sum", "adam", "send", "rest"})
      CHECK(result.at("seconds").at(part).get<double>() > 0.0);
  }
}

TEST_CASE("bench refuses what it does not know with one line") {
  for (const std::string arguments :
       {"bench", "bench speed", "bench engine --sizes huge", "bench engine --sizes laptop --engines fast",
        "bench engine --engines reference:float16", "bench engine --engines reference:mixed",
        "bench engine --repetitions 0", "bench coordinator --workers 0", "bench coordinator --floats -1",
        "bench engine --instruction-set mmx", "bench engine --lanes 0",
        "bench engine --engines fused --device cuda", "bench engine --engines reference --device cuda:99",
        "bench kernels --size tiny", "bench kernels --repetitions 0", "bench unroll --lengths 0",
        "bench unroll --size tiny", "bench unroll --engine fast"}) {
    const auto run = run_alone(arguments);
    INFO(arguments << ": " << run.err);
    CHECK(run.exit_code == 2);
    CHECK(occurrences(run.err, "\n") == 1);
    CHECK(run.err.rfind("outerloop: ", 0) == 0);
  }
}

}  // namespace outerloop::tests
