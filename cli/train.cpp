#include "cli/train.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cli/bounded_call.h"
#include "cli/housekeeping.h"
#include "cli/presence.h"
#include "cli/replacement.h"
#include "cli/run_options.h"
#include "cli/run_pace.h"
#include "cli/signals.h"
#include "cli/startup.h"
#include "cli/support/wrapped.h"
#include "cli/train_report.h"
#include "cli/version.h"
#include "common/base/error.h"
#include "common/base/standard_streams.h"
#include "common/config/keys.h"
#include "common/net/launch.h"
#include "common/net/peer_process.h"
#include "common/net/watchdog.h"
#include "coordinator/admission.h"
#include "coordinator/event_loop.h"
#include "coordinator/run_directory.h"
#include "worker/event_loop.h"
#include "worker/worker.h"

namespace outerloop::cli {
namespace {

// Deadline until the configuration provides watchdog_seconds.
constexpr double kStartSeconds = 900.0;
// A worker that joins waits up to 60 s for its turn, and then inside MPI for a rank 0 that may have died.
constexpr double kJoinSeconds = 180.0;

using coordinator::Coordinator;
using coordinator::RunDirectory;
using coordinator::StopReason;

/// The number of workers at the start of the run.
std::int64_t number_of_workers(const net::MpiSession& mpi) { return std::max(1, mpi.size() - 1); }

void check_datasets(const Plan& plan, const std::map<std::string, std::string>& now, RunDirectory& run) {
  for (const auto& name : changed_datasets(plan, now))
    run.on_warning("dataset " + coordinator::dataset_name(name) +
                   " differs from the one this run began with; the run continues with the new one");
}

/// Writes the last checkpoint and result.json, and prints the table. Returns the exit code.
int finish(const net::MpiSession& mpi, const Coordinator& coordinator, RunDirectory& run,
           const TrainOptions& options) {
  StopReason reason = coordinator.stop_reason();
  const auto last = coordinator.snapshot();
  // A diverged θ must not replace the last good one.
  if (reason != StopReason::diverged) run.on_checkpoint(last);
  if (!run.last_checkpoint_written() && reason != StopReason::diverged) reason = StopReason::disk;
  auto result = result_of(mpi, coordinator, last, reason, run.theta_sha256());
  bool failed =
      reason == StopReason::failures || reason == StopReason::disk || reason == StopReason::diverged;
  const auto write = [&] {
    result["exit_status"] = failed ? 1 : 0;
    try {
      run.write_result(result);
      if (!options.json.empty()) store::write_file_atomically(options.json, result.dump(2) + "\n");
    } catch (const Error& error) {  // the other ranks must still be released
      run.on_warning(error.what());
      failed = true;
    }
  };
  write();
  print_result(result, run, reason);
  if (!failed && !base::standard_output_is_complete()) {  // main prints the reason
    failed = true;
    write();
  }
  const int exit_code = failed ? 1 : 0;
  net::leave_status(exit_code);  // even if MPI_Finalize fails
  return exit_code;
}

/// -n 1: coordinator and worker take turns in one process.
void serve_alone(Coordinator& coordinator, worker::Worker& worker, net::Watchdog& watchdog,
                 const net::Clock& clock, const coordinator::LoopHooks& hooks) {
  worker::Pulse pulse(clock,
                      {[&](std::int64_t) { watchdog.watch("its own computing"); }, hooks.stop_requested});
  const worker::Beating beating(worker.engine(), pulse);
  std::optional<net::Frame> message = worker.hello();
  while (!coordinator.finished()) {
    const auto answers = coordinator.handle(0, net::encode(*message), clock.now());
    if (answers.empty()) continue;
    if (hooks.stop_requested()) coordinator.request_stop(StopReason::signal);
    coordinator.tick(clock.now());
    hooks.each_round();
    pulse.begin();
    message = worker.handle(net::encode(answers.front().frame), clock);
    for (const auto& frame : worker.take_ahead()) coordinator.handle(0, net::encode(frame), clock.now());
  }
}

/// Opens the run directory, writes the first checkpoint and environment.json, and prints the start table.
void begin_run(const net::MpiSession& mpi, Plan& plan, const RankSetup& setup, const Ranks& ranks,
               RunDirectory& run) {
  const auto& config = plan.settings.config;
  check_datasets(plan, setup.dataset_sha256, run);
  for (const auto& remark : setup.remarks) run.on_warning(remark);
  if (!setup.warning.empty()) run.on_warning(setup.warning);
  if (const auto& ignored = plan.settings.ignored_keys; !ignored.empty())
    run.on_warning(fmt::format("{}: ignored, since the rule is a module, which has attributes of its own",
                               fmt::join(ignored, ", ")));
  plan.start.dataset_sha256 = setup.dataset_sha256;
  plan.start.rule.git_revision = git_revision();
  plan.start.rule.engine = setup.engine_description;
  plan.start.rule.instruction_set = setup.instruction_set;
  double pace = setup.gradients_per_second;
  if (plan.start.rule.update == 0) {
    const net::SteadyClock clock;
    const double began = clock.now();
    run.on_checkpoint(plan.start);
    if (mpi.size() == 1) pace = pace_with_checkpoints(pace, config, clock.now() - began);
  }
  run.write_start(environment_of(mpi, ranks.hosts, setup, pace, plan.settings),
                  started_result(mpi, plan.start.rule.update));
  print_start(plan, setup, pace, number_of_workers(mpi));
}

/// Actions around MPI calls that may hang. In deterministic mode the last checkpoint suffices: later updates
/// are repeated with the same bits.
BoundedCall::Hooks around_mpi(const net::MpiSession& mpi, const Coordinator& coordinator, RunDirectory& run,
                              bool deterministic, const TrainOptions& options) {
  BoundedCall::Hooks hooks;
  hooks.checkpoint = [&run, &coordinator, deterministic] {
    if (!deterministic && run.last_checkpoint_written()) run.on_checkpoint(coordinator.snapshot());
    return run.last_checkpoint_written();  // retry() writes a refused one later
  };
  hooks.end_job = [&mpi, &run, &coordinator, json = options.json] {
    try {
      auto result = result_of(mpi, coordinator, coordinator.snapshot(), StopReason::mpi, run.theta_sha256());
      result["exit_status"] = kMpiStatus;
      run.write_result(result);
      if (!json.empty()) store::write_file_atomically(json, result.dump(2) + "\n");
    } catch (const std::exception& error) {  // the job ends anyway
      base::print_remark(error.what());
    }
  };
  return hooks;
}

/// Status 2 means bad input, which is found before training begins.
template <class Loop>
void run_loop(const Loop& loop) {
  try {
    loop();
  } catch (const InputError& error) {
    throw Error(error.what());
  }
}

/// Rank 0: everything but computing. Returns the exit code.
int coordinate(net::MpiSession& mpi, net::Watchdog& watchdog, Plan& plan, const TrainOptions& options,
               const RankSetup& setup, const Ranks& ranks, Presence& presence) {
  // 1. Open the run directory and print the start table.
  const auto& config = plan.settings.config;
  RunDirectory run(plan.run_directory, config.checkpoint().keep(), config.log().every_updates(),
                   plan.start.rule.update, plan.run_lock());
  begin_run(mpi, plan, setup, ranks, run);
  net::leave_mark("training");

  // 2. Set up the coordinator, and rank 0's work between messages.
  const net::SteadyClock clock;
  std::vector<int> workers(static_cast<std::size_t>(number_of_workers(mpi)));
  std::iota(workers.begin(), workers.end(), mpi.size() == 1 ? 0 : 1);
  auto how = coordinator_options(plan, setup, number_of_workers(mpi));
  how.replaces = options.respawn;
  Coordinator coordinator(how, plan.start, workers, run, clock.now());
  const BoundedCall bounded(watchdog, around_mpi(mpi, coordinator, run, how.deterministic, options));
  Housekeeping housekeeping(coordinator, run, plan, ranks, watchdog, clock, presence.listener(), bounded);
  const coordinator::LoopHooks hooks{signal_received, [&] { housekeeping.each_round(); }};

  // 3. Run the outer loop: in one process, coordinator and worker in turns ...
  if (mpi.size() == 1) {
    worker::Worker worker(stream_context(setup, plan.settings), worker_options(mpi, setup, config),
                          setup.evaluator.get());
    run_loop([&] { serve_alone(coordinator, worker, watchdog, clock, hooks); });
    housekeeping.end_progress();
    return finish(mpi, coordinator, run, options);
  }

  // ... or with the workers of the other ranks, until all have left or are lost.
  net::MpiTransport mpi_transport(mpi);
  mpi_transport.set_most_bytes(most_message_bytes(plan, setup));
  net::WatchedTransport transport(mpi_transport, watchdog, "the workers");
  if (options.respawn) housekeeping.start_replacements(mpi_transport);
  if (options.joinable) housekeeping.let_others_join(mpi_transport);
  run_loop([&] { coordinator::serve(transport, clock, coordinator, hooks); });
  housekeeping.end_progress();
  watchdog.watch("the file system to take the last checkpoint");
  const int exit_code = finish(mpi, coordinator, run, options);
  if (!coordinator::release_workers(transport, coordinator)) mpi.abandon();
  return exit_code;
}

/// Prints why the job cannot continue, and returns the exit code. Call it from a catch block.
int say_why() {
  try {
    throw;
  } catch (const Error& error) {
    base::print_remark(error.what());
    return error.exit_code();
  } catch (const std::exception& error) {
    base::print_remark(std::string("unexpected failure: ") + error.what());
  }
  return 1;
}

/// The watchdog's action while all ranks need each other.
void end_job(const std::string& line) {
  base::print_remark(line + "; the job ends");
  net::MpiSession::abort(1);
}

/// The watchdog's action on a worker; the others take over its streams.
void end_worker(const std::string& line) {
  base::print_remark(line + "; this worker ends, the others continue");
  std::_Exit(1);
}

/// The other ranks. Returns the exit code.
int compute(net::MpiSession& mpi, net::Watchdog& watchdog, const config::Settings& settings,
            const RankSetup& setup, const net::PeerProcess& coordinator, Presence& presence,
            net::MpiTransport& mpi_transport, bool joined = false) {
  watchdog.set_expire(end_worker);
  net::WatchedTransport transport(mpi_transport, watchdog, "rank 0");
  worker::Worker worker(stream_context(setup, settings), worker_options(mpi, setup, settings.config, joined),
                        setup.evaluator.get());
  const worker::LoopHooks hooks{signal_received, [&]() -> std::string {
                                  if (coordinator.ended()) return "the coordinator's process has ended";
                                  return presence.coordinator_gone();
                                }};
  try {
    if (!worker::run_worker(transport, worker, hooks)) mpi.abandon();
  } catch (const worker::CoordinatorGone&) {
    // Without rank 0 there is no job. On another host rank 0 may still run behind a broken network. MPI_Abort
    // would reach it once the network is back, and mpirun would then wait for ever.
    const int exit_code = say_why();
    coordinator.end_if_stopped();  // mpirun would wait for it
    if (coordinator.watched()) net::MpiSession::abort(exit_code);
    std::_Exit(exit_code);
  }
  return 0;
}

/// A worker that is added to a running job: rank 0 has started it (--respawn), or it joins (--join).
int work_late(net::MpiSession& mpi, net::Watchdog& watchdog, const TrainOptions& options) {
  watchdog.set_deadline(mpi.spawned() ? kStartSeconds : kJoinSeconds);
  mpi.abandon();  // MPI_Finalize would wait for lost ranks
  watchdog.watch("rank 0 to answer");
  const auto invitation = mpi.spawned() ? Invitation::from_environment() : read_invitation(options.join);
  Presence presence(mpi, watchdog, invitation.value_or(Invitation()));
  watchdog.watch("the run to accept it");
  const auto transport = mpi.spawned()
                             ? std::make_unique<net::MpiTransport>(mpi)
                             : request_to_join(mpi, options.join, invitation.value_or(Invitation()).caller);
  watchdog.watch("rank 0 to send the settings of the run");
  const Briefing briefing = receive_briefing(*transport);
  watchdog.set_deadline(briefing.plan.settings.config.watchdog_seconds());
  presence.set_silence(briefing.plan.settings.config.silence_seconds());
  watchdog.watch("datasets and engine to open");
  const auto tell = [&](std::int64_t step) {
    transport->send(0, progress_frame(step));
    watchdog.watch("its own speed measurement");
  };
  const RankSetup setup =
      set_up_rank(mpi, briefing.plan, {true, mpi.local_rank(), mpi.local_size()}, {tell, signal_received});
  check_same_datasets(briefing.plan, setup.dataset_sha256);
  if (!mpi.spawned() && mpi.rank() == 0) {
    fmt::print("joined the run in {}: {} for it until it ends\n", briefing.plan.run_directory,
               mpi.size() == 1 ? "1 worker of this job computes"
                               : fmt::format("{} workers of this job compute", mpi.size()));
    std::fflush(stdout);
  }
  return compute(mpi, watchdog, briefing.plan.settings, setup, net::PeerProcess(briefing.coordinator),
                 presence, *transport, !mpi.spawned());
}

/// Rejects combinations of flags, before anything else happens.
void check_flags(const TrainOptions& options, const net::MpiSession& mpi) {
  const bool more =
      !options.config.empty() || !options.overrides.empty() || !options.data.empty() || options.resume;
  if (!options.join.empty() && more)
    throw InputError("--join takes all settings from the run; leave out CONFIG, --set, --data and --resume");
  for (const auto& [given, flag] :
       {std::pair(options.respawn, "--respawn"), std::pair(options.joinable, "--joinable")})
    if (given && mpi.size() == 1)
      throw InputError(
          fmt::format("{}: one process does everything itself; start the run with "
                      "scripts/mpirun -n 2 or more",
                      flag));
}

/// The initial ranks of a run. Returns the exit code.
int train_together(net::MpiSession& mpi, net::Watchdog& watchdog, const TrainOptions& options) {
  // 1. Connect the ranks; from now on, none waits for one that has ended.
  Presence presence(mpi, watchdog, options.joinable);
  const Ranks ranks = gather_ranks(mpi);
  const WorkerPlace place = worker_place(mpi.rank(), mpi.local_rank(), mpi.local_size(), ranks.hosts);
  watchdog.set_reminder(0.0, "");
  watchdog.set_deadline(kStartSeconds);
  const net::PeerProcess coordinator(ranks.process_ids.front());

  // 2. Rank 0 reads configuration and checkpoint; all ranks agree.
  watchdog.watch("rank 0 to read configuration and checkpoint");
  Plan plan = agree_on_plan(mpi, options);
  net::leave_mark("met");
  watchdog.set_deadline(plan.settings.config.watchdog_seconds());
  presence.set_silence(plan.settings.config.silence_seconds());
  pin_worker(plan.settings, place);

  // 3. Open datasets and engine on every rank; if one fails, all end.
  watchdog.watch("all ranks to open datasets and engine");
  const auto tell = [&](std::int64_t step) { presence.tell(step); };
  const RankSetup setup = set_up_rank(mpi, plan, place, {tell, signal_received});
  presence.end_start();

  // 4. Rank 0 batches gradients and updates θ; the others unroll and send, until the run stops.
  try {
    if (mpi.rank() == 0) return coordinate(mpi, watchdog, plan, options, setup, ranks, presence);
    net::MpiTransport transport(mpi);
    return compute(mpi, watchdog, plan.settings, setup, coordinator, presence, transport);
  } catch (...) {
    mpi.abandon();  // MPI_Finalize would wait for the others, which still run
    if (mpi.rank() == 0) remove_unstarted(plan);
    plan.lock.reset();
    if (mpi.rank() == 0 && mpi.size() > 1) net::MpiSession::abort(say_why());
    throw;
  }
}

/// Prints every key with its range and default, followed by its meaning.
int print_keys() {
  if (!net::speaks_for_its_program()) return 0;
  for (const auto& key : config::describe_keys()) {
    fmt::print("{}{}   ({})\n", key.key, key.default_value.empty() ? "" : " = " + key.default_value,
               key.allowed);
    if (!key.comment.empty()) fmt::print("{}\n", wrapped(key.comment, "    "));
  }
  std::fflush(stdout);
  return 0;
}

/// Limits the time for the ranks to find each other: MPI_Init waits for ever for a dead rank.
void set_start_timer(net::Watchdog& watchdog) {
  constexpr double kReminder = 0.1;  // of the time limit
  const double seconds = net::start_seconds();
  watchdog.set_deadline(seconds, "OUTERLOOP_START_SECONDS");
  if (net::leads_several_hosts())
    watchdog.set_reminder(
        kReminder * seconds,
        fmt::format("still waiting for ranks on other hosts; after {:g} s the job ends", seconds));
}

/// scripts/mpirun repeats the same command line after MPI has ended a job. That run is resumed with its saved
/// configuration.
TrainOptions as_restarted(TrainOptions options) {
  const char* run = std::getenv("OUTERLOOP_RESTART");
  if (run == nullptr || *run == '\0' || !options.join.empty()) return options;
  options.run_directory = run;
  options.resume = true;
  options.config.clear();
  options.init_theta.clear();
  options.overrides.clear();
  options.data.clear();
  return options;
}

int train(int argc, char** argv, const TrainOptions& given) {
  if (given.keys) return print_keys();
  const TrainOptions options = as_restarted(given);
  // From here on, every wait has a limit.
  catch_signals();
  if (const auto why = net::unreachable_launcher()) throw InputError(*why);
  net::Watchdog watchdog(net::this_rank(), kStartSeconds, end_job);
  set_start_timer(watchdog);
  watchdog.watch("all ranks to start");
  net::MpiSession mpi(&argc, &argv);
  if (mpi.spawned()) {
    net::leave_status_to_others();
    return work_late(mpi, watchdog, options);
  }
  if (const auto why = net::alone_among_tasks(mpi.size())) throw InputError(*why);
  check_flags(options, mpi);
  if (!options.join.empty()) return work_late(mpi, watchdog, options);
  try {
    return train_together(mpi, watchdog, options);
  } catch (const RankEnded&) {  // the other ranks cannot be awaited
    mpi.abandon();
    if (mpi.rank() == 0) net::MpiSession::abort(say_why());
    throw;
  }
}

}  // namespace

Command add_train(CLI::App& app, int argc, char** argv) {
  const auto options = std::make_shared<TrainOptions>();
  auto* command = app.add_subcommand("train",
                                     "Meta-trains an update rule. Under mpirun rank 0 coordinates and the "
                                     "others work; a single process does both.");
  command->add_option("CONFIG", options->config, "a preset (see configs/) or a file in protobuf text format")
      ->default_str("laptop");
  command->add_option("--run-dir", options->run_directory, "folder for all files of the run")
      ->default_str("runs/<config>");
  command->add_flag("--resume", options->resume, "continue from the last complete checkpoint of --run-dir");
  command->add_flag("--respawn", options->respawn, "replace each lost worker by a new one");
  command->add_flag("--joinable", options->joinable, "accept workers of another mpirun (Open MPI 4)");
  command->add_option("--join", options->join, "RUN_DIR: work for the --joinable run in this directory");
  command->add_option(
      "--init-theta", options->init_theta,
      "start from this rule instead of a random one; its hidden_channels and output_units may be fewer than "
      "CONFIG's");
  command
      ->add_option("--set", options->overrides,
                   "key=value, overrides CONFIG; e.g. --set updates=100; may be repeated")
      ->allow_extra_args(false);
  command
      ->add_option(
          "--data", options->data,
          "NAME=PATH: path of a dataset; when resuming, the new path of the same data; may be repeated")
      ->allow_extra_args(false);
  command->add_option("--json", options->json, "also write result.json to this file");
  command->add_flag("--keys", options->keys,
                    "print only the keys of CONFIG, each with range, default and meaning");
  return {command, [argc, argv, options] { return train(argc, argv, *options); }};
}

}  // namespace outerloop::cli
