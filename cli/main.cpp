// The executable. Exit codes: 0 success, 1 failure while running or incomplete output, 2 bad usage or input.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "cli/apply.h"
#include "cli/bench/bench.h"
#include "cli/data.h"
#include "cli/doctor.h"
#include "cli/evaluate.h"
#include "cli/export.h"
#include "cli/figures/figure.h"
#include "cli/figures/plot.h"
#include "cli/inspect.h"
#include "cli/support/help.h"
#include "cli/train.h"
#include "cli/version.h"
#include "common/base/error.h"
#include "common/base/standard_streams.h"
#include "common/base/words.h"
#include "common/net/launch.h"

namespace {

using namespace outerloop::cli;

constexpr int kFailure = 1;
constexpr int kUsage = 2;

/// Adds --version to `app` and to all of its subcommands, after their other flags.
void add_version(CLI::App& app) {
  app.set_version_flag("--version", version() + " (" + git_revision() + ")");
  for (auto* command : app.get_subcommands({})) add_version(*command);
}

/// The message for wrong arguments: the first unknown command and the nearest known one, or `error`, the
/// parser's message.
std::string usage_error(const CLI::App& app, int argc, char** argv, const std::string& error) {
  const CLI::App* at = &app;
  std::string named = "outerloop";
  for (int i = 1; i < argc && argv[i][0] != '-'; ++i) {
    std::vector<std::string> known;
    const CLI::App* next = nullptr;
    for (const auto* command : at->get_subcommands([](const CLI::App*) { return true; })) {
      known.push_back(command->get_name());
      if (command->get_name() == argv[i]) next = command;
    }
    if (known.empty()) break;
    if (next == nullptr) {
      const std::string nearest = outerloop::base::nearest_word(argv[i], known);
      return named + ": there is no command '" + argv[i] + "'; " +
             (nearest.empty() ? "" : "did you mean '" + nearest + "'? ") + "see " + named + " --help";
    }
    at = next;
    named += " " + next->get_name();
  }
  return error + "; see " + named + " --help";
}

/// Parses the arguments and runs the command. Returns the exit code.
int run(int argc, char** argv) {
  // 1. Define the commands, in the order of --help.
  CLI::App app("Outerloop: distributed meta-training of unsupervised update rules", "outerloop");
  describe_defaults(app);
  app.require_subcommand(1);
  const std::vector<Command> commands = {add_train(app, argc, argv),
                                         add_evaluate(app),
                                         add_figure(app),
                                         add_apply(app, git_revision()),
                                         add_export(app),
                                         add_inspect(app),
                                         add_plot(app),
                                         add_bench(app),
                                         add_data(app),
                                         add_doctor(app)};
  add_version(app);

  // 2. Parse the arguments.
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    // Under mpirun every rank parses the same flags.
    if (outerloop::net::speaks_for_its_program())
      outerloop::base::print_remark(usage_error(app, argc, argv, error.what()));
    return kUsage;
  }

  // 3. Run the command.
  try {
    return run_given(commands);
  } catch (const outerloop::Error& error) {
    if (error.what()[0] != '\0') outerloop::base::print_remark(error.what());
    return error.exit_code();
  } catch (const std::exception& error) {
    if (!outerloop::base::standard_output_is_complete())
      return 0;  // the incomplete output is the failure, and finish() reports it
    outerloop::base::print_remark(std::string("unexpected failure: ") + error.what());
    return kFailure;
  }
}

/// Checks that all output was written. Returns the final exit status.
int finish(int exit_code) {
  try {
    outerloop::base::flush_standard_output();
  } catch (const outerloop::Error& error) {
    outerloop::base::print_remark(error.what());
    if (exit_code == 0) exit_code = kFailure;
  }
  return outerloop::net::leave_status(exit_code);
}

}  // namespace

int main(int argc, char** argv) {
  outerloop::base::open_standard_streams();
  std::signal(SIGXFSZ, SIG_IGN);  // at a limit on file size a write fails, as on a full disk
  return finish(run(argc, argv));
}
