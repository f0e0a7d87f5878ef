// outerloop inspect: what it prints, its exit codes and its JSON.
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "cli/inspect.h"
#include "common/config/schema.h"
#include "tests/catch.h"
#include "tests/store/support.h"

using namespace outerloop;
using namespace outerloop::tests;
using nlohmann::json;

namespace {

struct Inspected {
  int code = -1;
  std::string printed;
  json result;
};

/// Runs `command` with its stdout in a file.
template <typename Command>
Inspected run(const Folder& folder, const Command& command) {
  std::fflush(stdout);
  const int terminal = dup(STDOUT_FILENO);
  std::FILE* const capture = std::fopen((folder / "stdout").c_str(), "w");
  REQUIRE(capture != nullptr);
  dup2(fileno(capture), STDOUT_FILENO);
  Inspected inspected;
  std::string error;
  try {
    inspected.code = command();
  } catch (const Error& failure) {
    inspected.code = failure.exit_code();
    error = failure.what();
  }
  std::fflush(stdout);
  dup2(terminal, STDOUT_FILENO);
  close(terminal);
  std::fclose(capture);
  inspected.printed = read_bytes(folder / "stdout") + error;
  return inspected;
}

Inspected run_inspect(const Folder& folder, const std::vector<std::string>& files) {
  auto inspected = run(folder, [&] { return cli::inspect(files, folder / "result.json"); });
  const auto text = read_bytes(folder / "result.json");
  if (!text.empty()) inspected.result = json::parse(text);
  return inspected;
}

Inspected run_inspect_config(const Folder& folder, const std::vector<std::string>& files) {
  return run(folder, [&] { return cli::inspect_config(files); });
}

}  // namespace

TEST_CASE("inspect describes a checkpoint") {
  const Folder folder;
  const std::string path = folder / "c.h5";
  auto checkpoint = sample_checkpoint();
  checkpoint.rule.engine = "fused float32 cpu, 1 thread";
  checkpoint.rule.instruction_set = "avx2";
  const auto sha256 = store::write_checkpoint(path, checkpoint);
  const auto seen = run_inspect(folder, {path});
  CHECK(seen.code == 0);
  for (const std::string part : {"checkpoint, format 2", "neuron_local", "0123abc", "top.in.w", "[2, 3]",
                                 "Adam: step 7", "refused.stale", "glyphs", "5-4-3", "not begun",
                                 "history: 3 updates", "fused float32 cpu, 1 thread", "avx2"})
    CHECK(contains(seen.printed, part));
  CHECK(seen.result.at("engine") == "fused float32 cpu, 1 thread");
  CHECK(seen.result.at("instruction_set") == "avx2");
  CHECK_FALSE(seen.result.contains("validation_meta_objective"));
  CHECK(contains(seen.printed, sha256));
  CHECK(seen.result.at("kind") == "checkpoint");
  CHECK(seen.result.at("format_version") == store::kFormatVersion);
  CHECK(seen.result.at("update") == 7);
  CHECK(seen.result.at("rule") == "neuron_local");
  CHECK(seen.result.at("theta_sha256") == sha256);
  CHECK(seen.result.at("parameters") == 12);
  CHECK(seen.result.at("checksum_ok") == true);
  REQUIRE(seen.result.at("theta").size() == 3);
  const auto& first = seen.result.at("theta").at(0);
  CHECK(first.at("name") == "top.in.w");
  CHECK(first.at("shape") == json({2, 3}));
  CHECK(first.at("finite") == true);
  double squares = 0.0;
  for (int i = 0; i < 6; ++i)
    squares += checkpoint.rule.theta[static_cast<std::size_t>(i)] *
               checkpoint.rule.theta[static_cast<std::size_t>(i)];
  CHECK(first.at("norm").get<double>() == Approx(std::sqrt(squares)));
}

TEST_CASE("inspect says how a rule validated, and where it is not known what made it") {
  const Folder folder;
  auto rule = sample_rule();
  rule.validation_meta_objective = 0.1 + 0.2;
  store::write_rule(folder / "r.h5", rule);
  const auto seen = run_inspect(folder, {folder / "r.h5"});
  CHECK(seen.code == 0);
  CHECK(contains(seen.printed, "meta-objective 0.3000"));
  CHECK(contains(seen.printed, "unknown"));
  CHECK(seen.result.at("engine") == "");
  CHECK(seen.result.at("validation_meta_objective") == 0.1 + 0.2);
}

TEST_CASE("inspect says where theta is not finite") {
  const Folder folder;
  auto rule = sample_rule();
  rule.theta[7] = std::numeric_limits<double>::infinity();
  store::write_rule(folder / "r.h5", rule);
  const auto seen = run_inspect(folder, {folder / "r.h5"});
  CHECK(seen.code == 0);
  CHECK(contains(seen.printed, "NO"));
  CHECK(seen.result.at("kind") == "theta");
  CHECK(seen.result.at("theta").at(0).at("finite") == true);
  CHECK(seen.result.at("theta").at(1).at("finite") == false);
  CHECK(seen.result.at("theta").at(1).at("norm").is_null());
}

TEST_CASE("inspect compares two files") {
  const Folder folder;
  auto rule = sample_rule();
  store::write_rule(folder / "a.h5", rule);
  rule.update = 8;  // all but θ may differ
  rule.theta_average.clear();
  std::string expected = "equal, bit for bit";
  int code = 1;
  SECTION("equal") { code = 0; }
  SECTION("one value differs") {
    rule.theta[6] += 0.5;
    expected = "θ differs";
  }
  SECTION("one sign of zero differs") {
    rule.theta[11] = 0.0;
    store::write_rule(folder / "a.h5", rule);
    rule.theta[11] = -0.0;
    expected = "θ differs";
  }
  SECTION("another shape") {
    auto tensors = rule.layout.tensors();
    tensors[0].shape = {3, 2};
    rule.layout = rule::Layout(tensors);
    expected = "[2, 3] against [3, 2]";
  }
  SECTION("another name") {
    auto tensors = rule.layout.tensors();
    tensors[0].name = "other";
    rule.layout = rule::Layout(tensors);
    expected = "only in the second";
  }
  SECTION("the same NaN is equal") {
    rule.theta[3] = std::numeric_limits<double>::quiet_NaN();
    store::write_rule(folder / "a.h5", rule);
    code = 0;
  }
  store::write_rule(folder / "b.h5", rule);
  const auto seen = run_inspect(folder, {folder / "a.h5", folder / "b.h5"});
  INFO(seen.printed);
  CHECK(seen.code == code);
  CHECK(contains(seen.printed, expected));
  CHECK(seen.result.at("theta_equal") == (code == 0));
  CHECK(seen.result.at("other").at("update") == 8);
}

TEST_CASE("inspect gives the relative difference of each parameter") {
  const Folder folder;
  auto rule = sample_rule();
  for (int i = 6; i < 10; ++i) rule.theta[static_cast<std::size_t>(i)] = 2.0;
  store::write_rule(folder / "a.h5", rule);
  for (int i = 6; i < 10; ++i) rule.theta[static_cast<std::size_t>(i)] = 1.5;
  store::write_rule(folder / "b.h5", rule);
  const auto seen = run_inspect(folder, {folder / "a.h5", folder / "b.h5"});
  CHECK(seen.code == 1);
  const auto& changed = seen.result.at("differences").at(1);
  CHECK(changed.at("name") == "delta.b");
  CHECK(changed.at("relative_difference") == Approx(0.25));  // |2 - 1.5| of four, by the norm of four twos
  CHECK(changed.at("largest_difference") == Approx(0.5));
  CHECK(seen.result.at("differences").at(0).at("equal") == true);
}

TEST_CASE("inspect refuses what is damaged, missing, or too many, with exit code 2") {
  const Folder folder;
  store::write_rule(folder / "a.h5", sample_rule());
  auto bytes = read_bytes(folder / "a.h5");
  bytes[bytes.size() - 9] = static_cast<char>(bytes[bytes.size() - 9] ^ 1);
  write_bytes(folder / "damaged.h5", bytes);
  const auto seen = run_inspect(folder, {folder / "damaged.h5"});
  CHECK(seen.code == 2);
  CHECK(contains(seen.printed, folder / "damaged.h5"));
  CHECK(seen.result.at("checksum_ok") == false);
  CHECK(run_inspect(folder, {folder / "a.h5", folder / "damaged.h5"}).code == 2);
  CHECK(run_inspect(folder, {folder / "missing.h5"}).code == 2);
  CHECK(run_inspect(folder, {}).code == 2);
  CHECK(run_inspect(folder, {folder / "a.h5", folder / "a.h5", folder / "a.h5"}).code == 2);
}

TEST_CASE("inspect --config prints the configuration that made a file and nothing else") {
  const Folder folder;
  auto rule = sample_rule();
  rule.config = "seed: 3\nupdates: 5\n";
  store::write_rule(folder / "r.h5", rule);
  const auto seen = run_inspect_config(folder, {folder / "r.h5"});
  CHECK(seen.code == 0);
  CHECK(seen.printed == rule.config);

  rule.config.clear();
  store::write_rule(folder / "none.h5", rule);
  const auto none = run_inspect_config(folder, {folder / "none.h5"});
  CHECK(none.code == 2);
  CHECK(contains(none.printed, "none.h5: holds no configuration"));
  const auto two = run_inspect_config(folder, {folder / "r.h5", folder / "r.h5"});
  CHECK(two.code == 2);
  CHECK(contains(two.printed, "2 files given; it takes one"));
}

TEST_CASE("each trained rule of the repository holds the configuration beside it") {
  std::size_t rules = 0;
  for (const auto& entry : std::filesystem::directory_iterator(OUTERLOOP_RULES)) {
    if (entry.path().extension() != ".h5") continue;
    ++rules;
    INFO(entry.path().string());
    auto beside = entry.path();
    beside.replace_extension(".textproto");
    const auto resolved = [](const std::string& text, const std::string& origin) {
      auto config = config::parse_text(text, origin);
      config::fill_defaults(config);
      return config::to_text(config);
    };
    CHECK(resolved(store::read_contents(entry.path().string()).checkpoint.rule.config, "the file") ==
          resolved(read_bytes(beside.string()), beside.string()));
  }
  CHECK(rules > 0);
}

TEST_CASE("a sparkline rises with its values and leaves out what is no number") {
  const double none = std::numeric_limits<double>::quiet_NaN();
  CHECK(cli::sparkline({0, 1, 2, 3, 4, 5, 6, 7}, 8) == "▁▂▃▄▅▆▇█");
  CHECK(cli::sparkline({7, none, 0}, 60) == "█ ▁");
  CHECK(cli::sparkline({5, 5}, 60) == "▁▁");
  CHECK(cli::sparkline({0, 0, 1, 1}, 2) == "▁█");
  CHECK(cli::sparkline({}, 60).empty());
}
