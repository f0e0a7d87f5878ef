#pragma once
// Runs the built executable as a user does.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "tests/temporary_folder.h"

namespace outerloop::tests {

/// Under the address sanitizer a job takes several times as long to start: what is there to be found by it is
/// found with fewer repetitions of the same.
#ifdef OUTERLOOP_SANITIZED
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

inline std::string read_text(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

inline nlohmann::json read_json(const std::string& path) { return nlohmann::json::parse(read_text(path)); }

struct Finished {
  int exit_code = 0;
  std::string out;
  std::string err;
};

/// How long a command may take unless told otherwise.
inline constexpr int kSeconds = kSanitized ? 480 : 120;

/// Runs a shell command line; at most `seconds`.
inline Finished run_shell(const std::string& command, int seconds = kSeconds) {
  const TemporaryFolder folder;
  const std::string line = "timeout -k 10 " + std::to_string(seconds) + " sh -c '" + command + "' > " +
                           (folder / "out") + " 2> " + (folder / "err") + " < /dev/null";
  const int status = std::system(line.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_text(folder / "out"),
          read_text(folder / "err")};
}

inline std::string executable() { return std::string("\"") + OUTERLOOP_EXECUTABLE + "\""; }

/// `outerloop ARGUMENTS` alone; at most `seconds`.
inline Finished run_alone(const std::string& arguments, int seconds = kSeconds) {
  return run_shell(executable() + " " + arguments, seconds);
}

/// The same under scripts/mpirun at that many ranks; 1 is run alone.
inline Finished run_on_ranks(int ranks, const std::string& arguments) {
  if (ranks == 1) return run_alone(arguments);
  return run_shell(std::string("\"") + OUTERLOOP_MPIRUN + "\" -n " + std::to_string(ranks) + " " +
                   executable() + " " + arguments);
}

/// result.json of a run in `folder` that must end well.
inline nlohmann::json finished_run(const std::string& folder, int ranks, const std::string& arguments) {
  const auto finished = run_on_ranks(ranks, arguments + " --run-dir " + folder);
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  return read_json(folder + "/result.json");
}

/// θ's checksum in result.json.
inline std::string bits(const nlohmann::json& result) { return result.at("theta_sha256").get<std::string>(); }

/// A folder with a run of the preset `smoke` in `run`, trained once in a test program.
inline const TemporaryFolder& smoke_run() {
  static const TemporaryFolder folder;
  static const Finished finished = run_alone("train smoke --run-dir " + (folder / "run"));
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  return folder;
}

/// A run whose configuration evaluates with three hidden layers of 9 units.
inline const TemporaryFolder& wide_run() {
  static const TemporaryFolder folder;
  static const Finished finished = run_alone(
      "train smoke --set updates=2 --set evaluation.hidden_layers=3 --set evaluation.width=9 --run-dir " +
      (folder / "run"));
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  return folder;
}

/// How often `part` occurs in `text`.
inline int occurrences(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size()))
    ++count;
  return count;
}

}  // namespace outerloop::tests
