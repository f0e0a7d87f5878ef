// What a user reads before anything runs: --help with defaults, keys, and suggestions after misspellings.
#include <regex>
#include <set>
#include <sstream>

#include "tests/catch.h"
#include "tests/cli/run_command.h"

using namespace outerloop::tests;

namespace {

/// A flag of --help with the line that it begins on, and its explanation.
struct Flag {
  std::string name, line, explanation;
};

std::vector<Flag> flags_of(const std::string& help) {
  std::vector<Flag> flags;
  std::istringstream lines(help);
  bool options = false;
  for (std::string line; std::getline(lines, line);) {
    if (line == "Options:") options = true;
    if (line == "Subcommands:") break;
    if (!options || line.empty()) continue;
    std::smatch match;
    if (std::regex_search(line, match, std::regex("^  (-[a-z],)?(--[a-z-]+)")))
      flags.push_back({match[2], line, ""});
    else if (!flags.empty())
      flags.back().explanation += line;
  }
  return flags;
}

std::vector<std::string> commands_of(const std::string& help) {
  std::vector<std::string> commands;
  std::istringstream lines(help);
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (line == "Subcommands:")
      inside = true;
    else if (inside && std::regex_search(line, match, std::regex("^  ([a-z]+)")))
      commands.push_back(match[1]);
  }
  return commands;
}

std::string help(const std::string& command) {
  const auto finished = run_alone(command + " --help");
  INFO(finished.err);
  CHECK(finished.exit_code == 0);
  return finished.out;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Of a flag's first line: TEXT=default, or TEXT [default] since CLI11 2.4; a range before it is no default.
std::string default_of(const std::string& line) {
  std::smatch match;
  const std::string plain = std::regex_replace(line, std::regex(" in \\[[^\\]]*\\]"), "");
  if (std::regex_search(plain, match, std::regex("=(.*\\S)| \\[(.*)\\]")))
    return match[1].matched ? match[1] : match[2];
  return "";
}

std::string refusal(const std::string& arguments) {
  const auto finished = run_alone(arguments);
  INFO(arguments << ": " << finished.err);
  CHECK(finished.exit_code == 2);
  CHECK(occurrences(finished.err, "\n") == 1);
  return finished.err;
}

}  // namespace

TEST_CASE("every flag that takes a value shows its default, but those that add something") {
  // Without them there is no file, no override, no model: nothing to show.
  const std::set<std::string> additions = {"--json",        "--set",         "--data",  "--join",
                                           "--init-theta",  "--model",       "--drop",  "--save-model",
                                           "--safetensors", "--torchscript", "--labels"};
  int shown = 0;
  for (const auto& command : commands_of(help(""))) {
    auto texts = std::vector<std::string>{help(command)};
    for (const auto& part : commands_of(texts.front())) texts.push_back(help(command + " " + part));
    for (const auto& text : texts)
      for (const auto& flag : flags_of(text)) {
        INFO(command << ": " << flag.line);
        CHECK_FALSE(contains(flag.line, "..."));  // one value after each flag
        const bool takes_value = std::regex_search(flag.line, std::regex("--[a-z-]+ (TEXT|INT|UINT|FLOAT)"));
        if (!takes_value || contains(flag.line, "REQUIRED")) continue;
        const std::string shown_default = default_of(flag.line);
        if (!shown_default.empty()) ++shown;
        if (command == "evaluate" && flag.name == "--labels") CHECK(shown_default == "10");
        CHECK((!shown_default.empty() || additions.count(flag.name) == 1));
      }
  }
  CHECK(shown > 40);
}

TEST_CASE("a misspelt command is answered with the nearest one") {
  CHECK(contains(refusal("trian"), "no command 'trian'; did you mean 'train'?"));
  CHECK(contains(refusal("evalute rule.h5"), "did you mean 'evaluate'?"));
  CHECK(contains(refusal("bench enigne"),
                 "outerloop bench: there is no command 'enigne'; did you mean 'engine'?"));
  const auto far = refusal("xyzzyplugh");
  CHECK(contains(far, "no command 'xyzzyplugh'; see outerloop --help"));
  CHECK_FALSE(contains(far, "did you mean"));
  CHECK(contains(refusal("evaluate"), "RULE is required; see outerloop evaluate --help"));
}

TEST_CASE("a key without its group, or with a wrong one, is answered with the right key") {
  const auto suggested = [](const std::string& assignment) {
    const auto line = refusal("train smoke --set " + assignment);
    const std::string before = "nearest known key is '";
    const std::size_t at = line.find(before);
    REQUIRE(at != std::string::npos);
    return line.substr(at + before.size(), line.rfind('\'') - at - before.size());
  };
  CHECK(suggested("learning_rate=1") == "optimizer.learning_rate");
  CHECK(suggested("lerning_rate=1") == "optimizer.learning_rate");
  CHECK(suggested("inputs.learning_rate=1") == "optimizer.learning_rate");
  CHECK(suggested("precision=mixed") == "engine.precision");
  CHECK(suggested("optimizer.lerning_rate=1") == "optimizer.learning_rate");
  CHECK(suggested("btach=3") == "batch");
}

TEST_CASE("train --keys lists every key with what it takes, its default and its meaning") {
  const auto keys = run_alone("train --keys");
  INFO(keys.err);
  REQUIRE(keys.exit_code == 0);
  CHECK(contains(keys.out, "\noptimizer.learning_rate = 0.001   (0 to 10)\n"));
  CHECK(contains(keys.out, "batch = 8   (whole, 1 to 1e+06)\n    Gradients per update.\n"));
  CHECK(contains(keys.out, "mode = asynchronous   (asynchronous | deterministic)\n"));
  CHECK(contains(keys.out, "    reference: LibTorch and its autograd;"));
  CHECK(contains(keys.out, "\ntasks.first.min_width   (whole, 1 to 100000)\n"));
  CHECK_FALSE(contains(keys.out, "resolved_path"));
  std::istringstream lines(keys.out);
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line);) {
    CHECK(line.size() <= 110);
    if (!line.empty() && line.front() != ' ') ++count;
  }
  CHECK(count > 100);
}

TEST_CASE("benchmarks of engines take the same flags") {
  for (const std::string bench : {"engine", "unroll"})
    for (const std::string flag : {"--size", "--sizes", "--engine", "--engines"}) {
      const auto line = refusal("bench " + bench + " " + flag + " nothing");
      CHECK(contains(line, "nothing"));
      CHECK_FALSE(contains(line, "not expected"));
    }
}
