#pragma once
// Programs that run beside the test, and the ranks among them.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/cli/run_command.h"

namespace outerloop::tests {

inline double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

inline void pause_seconds(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

/// Whether `condition` comes true within `seconds`; looked at every 10 ms.
template <class Condition>
bool comes_true(double seconds, const Condition& condition) {
  for (const double end = seconds_now() + seconds; seconds_now() < end; pause_seconds(0.01))
    if (condition()) return true;
  return condition();
}

/// A child process whose output goes to files; killed with the object if it still runs.
class Process {
 public:
  Process(const std::vector<std::string>& arguments, const std::string& out, const std::string& err) {
    pid_ = fork();
    if (pid_ < 0) throw std::runtime_error("no process");
    if (pid_ == 0) run(arguments, out, err);
  }
  ~Process() {
    if (ended()) return;
    kill(pid_, SIGTERM);  // scripts/mpirun takes its ranks with it
    if (!wait(30.0)) kill(pid_, SIGKILL), wait(10.0);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  void send(int signal) const { kill(pid_, signal); }

  bool ended() {
    if (!ended_ && waitpid(pid_, &status_, WNOHANG) == pid_) ended_ = true;
    return ended_;
  }
  /// Whether it ends within `seconds`.
  bool wait(double seconds) {
    return comes_true(seconds, [&] { return ended(); });
  }
  /// 128 + signal where one ended it.
  int exit_code() const { return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_); }

 private:
  [[noreturn]] static void run(const std::vector<std::string>& arguments, const std::string& out,
                               const std::string& err) {
    const int from = open("/dev/null", O_RDONLY);
    const int to = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    const int errors = open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (dup2(from, 0) < 0 || dup2(to, 1) < 0 || dup2(errors, 2) < 0) _exit(126);
    std::vector<char*> argv;
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    execvp(argv[0], argv.data());
    _exit(127);
  }

  pid_t pid_ = -1;
  int status_ = 0;
  bool ended_ = false;
};

/// The process of rank `rank` of the job that trains in `run`, or -1. Ranks are the executable itself, not a
/// shell around it.
inline pid_t process_of_rank(const std::string& run, int rank,
                             const std::string& program = OUTERLOOP_EXECUTABLE) {
  const std::string wanted = "OMPI_COMM_WORLD_RANK=" + std::to_string(rank);
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string path = entry.path().string();
    if (path.find_first_not_of("0123456789", 6) != std::string::npos) continue;
    const std::string command = read_text(path + "/cmdline");
    if (command.find(program) != 0 || command.find(run) == std::string::npos) continue;
    const std::string environment = read_text(path + "/environ") + '\0';
    if (('\0' + environment).find('\0' + wanted + '\0') != std::string::npos)
      return std::stoi(path.substr(6));
  }
  return -1;
}

/// Lines of a run's metrics.jsonl so far.
inline std::int64_t lines_of_metrics(const std::string& run) {
  return occurrences(read_text(run + "/metrics.jsonl"), "\n");
}

/// Whether result.json says how the run has ended; while it goes on it says "running".
inline bool has_result(const std::string& run) {
  const std::string text = read_text(run + "/result.json");
  return occurrences(text, "\"stop_reason\"") > 0 && occurrences(text, "\"running\"") == 0;
}

/// The command line of a job of the preset `smoke` on so many ranks.
inline std::vector<std::string> job(const std::string& run, int ranks,
                                    const std::vector<std::string>& settings) {
  std::vector<std::string> arguments = {OUTERLOOP_MPIRUN,     "-n",    std::to_string(ranks),
                                        OUTERLOOP_EXECUTABLE, "train", "smoke",
                                        "--run-dir",          run};
  for (const auto& setting : settings) {
    arguments.push_back("--set");
    arguments.push_back(setting);
  }
  return arguments;
}

/// The process of that rank once the run has made three updates.
inline pid_t training_rank(const std::string& run, int rank, Process& process,
                           const std::string& program = OUTERLOOP_EXECUTABLE) {
  REQUIRE(comes_true(60.0, [&] { return lines_of_metrics(run) >= 3 || process.ended(); }));
  const pid_t found = process_of_rank(run, rank, program);
  REQUIRE(found > 0);
  return found;
}

}  // namespace outerloop::tests
