// outerloop train: meta-training, from the start-up that all ranks share to result.json.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cli/commands.h"
#include "cli/evaluation_setup.h"
#include "cli/progress.h"
#include "cli/replacement.h"
#include "cli/signals.h"
#include "cli/startup.h"
#include "cli/version.h"
#include "common/base/error.h"
#include "common/net/peer_process.h"
#include "common/net/watchdog.h"
#include "coordinator/event_loop.h"
#include "coordinator/run_directory.h"
#include "worker/event_loop.h"
#include "worker/worker.h"

namespace outerloop::cli {
namespace {

// Until the configuration says watchdog_seconds.
constexpr double kStartSeconds = 900.0;

using coordinator::Coordinator;
using coordinator::RunDirectory;
using coordinator::StopReason;
using nlohmann::json;

coordinator::CoordinatorOptions coordinator_options(const Plan& plan, std::int64_t workers) {
  const auto& config = plan.settings.config;
  coordinator::CoordinatorOptions options;
  options.deterministic = config.mode() == proto::Config::deterministic;
  options.updates = config.updates();
  options.seconds = config.seconds();
  options.batch = config.batch();
  options.streams = config.streams();
  options.staleness_bound = config.staleness_bound() > 0
                                ? config.staleness_bound()
                                : coordinator::default_staleness_bound(workers, config.batch());
  options.reject_norm = config.reject_norm();
  options.batch_norm_clip = config.clip().batch_norm();
  const auto& adam = config.optimizer();
  options.adam = {adam.learning_rate(),
                  adam.beta1(),
                  adam.beta2(),
                  adam.epsilon(),
                  adam.warmup_updates(),
                  adam.decay_updates(),
                  adam.final_learning_rate()};
  options.average_decay = adam.average_decay();
  const auto& back = config.step_back();
  options.step_back = {back.tolerance(), back.every_updates(), back.learning_rate_factor(), back.most()};
  options.checkpoint_every = config.checkpoint().every_updates();
  options.max_failures = config.max_failures();
  options.deadline = config.deadline_seconds();
  options.evaluation = evaluation_options(plan.settings);
  options.best = plan.best;
  return options;
}

worker::StreamContext stream_context(const RankSetup& setup, const config::Settings& settings) {
  const auto& config = settings.config;
  const auto& unroll = config.unroll();
  return {*setup.engine,
          *setup.tasks,
          config.seed(),
          unroll.min_steps(),
          unroll.max_steps(),
          {unroll.curriculum_updates(), unroll.curriculum_steps(), config.tasks().max_inner_steps()},
          settings.estimator,
          unroll.distribution() == proto::log_uniform};
}

worker::WorkerOptions worker_options(const net::MpiSession& mpi, const proto::Config& config,
                                     bool joined = false) {
  return {config.clip().gradient_norm(),
          mpi.host(),
          getpid(),
          config.deadline_seconds(),
          config.mode() == proto::Config::deterministic,
          net::PeerProcess::here(),
          joined};
}

/// e.g. "3:00, about 350 updates"; the shorter of both limits decides.
std::string how_long(const proto::Config& config, const store::Checkpoint& start,
                     double gradients_per_second) {
  const double rate = gradients_per_second / static_cast<double>(config.batch());  // updates per second
  const double seconds_left = config.seconds() > 0 ? config.seconds() - start.seconds : 1e30;
  const double updates_left =
      config.updates() > 0 ? static_cast<double>(config.updates() - start.rule.update) : 1e30;
  if (std::min(seconds_left, updates_left) <= 0.0) return "no longer: its limit is reached";
  if (seconds_left < updates_left / rate)
    return fmt::format("{}, about {:.0f} updates", duration(seconds_left), seconds_left * rate);
  return fmt::format("{:.0f} updates, about {}", updates_left, duration(updates_left / rate));
}

/// Where one process does all, it computes nothing while it writes a checkpoint.
double rate_with_checkpoints(double gradients_per_second, const proto::Config& config,
                             double checkpoint_seconds) {
  if (config.checkpoint().every_updates() <= 0) return gradients_per_second;
  const auto gradients = static_cast<double>(config.checkpoint().every_updates() * config.batch());
  return gradients / (gradients / gradients_per_second + checkpoint_seconds);
}

void print_start(const Plan& plan, const RankSetup& setup, double rate, std::int64_t workers) {
  const auto& config = plan.settings.config;
  std::string datasets;
  for (const auto& dataset : plan.settings.training)
    datasets +=
        fmt::format("{}{} (weight {:g})", datasets.empty() ? "" : ", ", dataset.request.name, dataset.weight);
  const auto row = [](const char* name, const std::string& value) {
    fmt::print("  {:<16}{}\n", name, value);
  };
  fmt::print("Meta-training {}\n", plan.settings.rule.name);
  const auto update = plan.start.rule.update;
  row("how long",
      how_long(config, plan.start, rate) + (update > 0 ? fmt::format(", from update {} on", update) : ""));
  row("run directory", plan.run_directory);
  row("workers",
      fmt::format("{} ({} streams, {} gradients per update)", workers, config.streams(), config.batch()));
  row("engine", setup.engine_description);
  const auto& estimator = plan.settings.estimator;
  if (estimator.kind != rule::EstimatorKind::backpropagation)
    row("estimator", fmt::format("{} (deviation {:g}, {} {}), backpropagation's share {:g}",
                                 rule::estimator_name(estimator.kind), estimator.deviation, estimator.pairs,
                                 estimator.pairs == 1 ? "pair" : "pairs", estimator.backpropagation_share));
  row("parameters", fmt::format("{} in θ", plan.start.rule.theta.size()));
  row("tasks", fmt::format("{}; {}x{} pixels", datasets, config.tasks().size(), config.tasks().size()));
  row("evaluation", evaluation_description(plan.settings));
  row("revision", git_revision());
  std::fflush(stdout);
}

std::string progress_line(const Coordinator& coordinator, const RunDirectory& run,
                          const proto::Config& config, double now) {
  const auto& newest = run.newest();
  if (newest.update == 0)
    return fmt::format("update {} | {} gradients so far", coordinator.update(),
                       coordinator.gradients() + coordinator.pending());
  double left = config.seconds() > 0 ? config.seconds() - coordinator.seconds(now) : 1e30;
  if (config.updates() > 0 && newest.gradients_per_second > 0) {
    const double gradients = static_cast<double>((config.updates() - coordinator.update()) * config.batch());
    left = std::min(left, gradients / newest.gradients_per_second);
  }
  return fmt::format("update {} | meta-objective {:.4f} | {:.1f} gradients/s | staleness {:.2f} | {} left",
                     newest.update, newest.meta_objective_smooth, newest.gradients_per_second,
                     newest.batch.staleness_mean, duration(left));
}

/// Mean of the running mean over the first or last tenth of the updates: single updates are too noisy to
/// compare.
double tenth_of(const store::Checkpoint& checkpoint, bool first) {
  const auto found = checkpoint.history.find("meta_objective_smooth");
  if (found == checkpoint.history.end() || found->second.empty()) return 0.0;
  const auto& values = found->second;
  const auto count = static_cast<std::ptrdiff_t>(std::max<std::size_t>(1, values.size() / 10));
  const auto begin = first ? values.begin() : values.end() - count;
  return std::accumulate(begin, begin + count, 0.0) / static_cast<double>(count);
}

/// Each worker's part since this start: gradients, its share of all, refused ones by cause.
json workers_of(const Coordinator& coordinator) {
  std::int64_t all = 0;
  for (const auto& [worker, tally] : coordinator.tallies()) all += tally.gradients;
  json workers = json::object();
  for (const auto& [worker, tally] : coordinator.tallies())
    workers[std::to_string(worker)] = {
        {"gradients", tally.gradients},
        {"share", static_cast<double>(tally.gradients) / static_cast<double>(std::max<std::int64_t>(all, 1))},
        {"refused", tally.refused}};
  return workers;
}

/// Whom a loss or a departure is about, and when it was.
template <class Record>
json gone(const Record& record) {
  return {{"worker", record.worker},
          {"host", record.host},
          {"process", record.pid},
          {"update", record.update},
          {"seconds", record.seconds}};
}

std::string in_words(const json& gone) {
  return fmt::format("worker {} on {} (process {}) at update {}", gone.at("worker").get<int>(),
                     gone.at("host").get<std::string>(), gone.at("process").get<std::int64_t>(),
                     gone.at("update").get<std::int64_t>());
}

/// What died where, since this start.
json lost_of(const Coordinator& coordinator) {
  json lost = json::array();
  for (const auto& loss : coordinator.losses()) {
    lost.push_back(gone(loss));
    lost.back()["reason"] = loss.reason;
  }
  return lost;
}

/// Who has left before the end, since this start.
json left_of(const Coordinator& coordinator) {
  json left = json::array();
  for (const auto& departure : coordinator.departures()) left.push_back(gone(departure));
  return left;
}

std::string by_cause(const json& refused) {
  std::string text;
  for (const auto& [cause, count] : refused.items())
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count.get<std::int64_t>(), cause);
  return text.empty() ? "none" : text;
}

json result_of(const Coordinator& coordinator, const store::Checkpoint& last, StopReason reason,
               const std::string& theta_sha256) {
  json result = {
      {"stop_reason", coordinator::stop_reason_name(reason)},
      {"updates", coordinator.update()},
      {"seconds", last.seconds},
      {"gradients", coordinator.gradients()},
      {"gradients_per_second", static_cast<double>(coordinator.gradients()) / std::max(last.seconds, 1e-9)},
      {"meta_objective_first", tenth_of(last, true)},
      {"meta_objective_last", tenth_of(last, false)},
      {"refused", coordinator.refused()},
      {"workers_lost", coordinator.workers_lost()},
      {"lost", lost_of(coordinator)},
      {"left", left_of(coordinator)},
      {"workers", workers_of(coordinator)},
      {"theta_sha256", theta_sha256}};
  if (const auto& best = coordinator.best()) {
    result["best_update"] = best->update;
    result["best_validation_meta_objective"] = best->validation;
  }
  return result;
}

void print_result(const json& result, const std::string& run_directory, StopReason reason) {
  fmt::print("\nMeta-training ended ({}).\n", result.at("stop_reason").get<std::string>());
  const auto row = [](const char* name, const std::string& value) {
    fmt::print("  {:<26}{}\n", name, value);
  };
  row("updates", fmt::format("{}", result.at("updates").get<std::int64_t>()));
  row("gradients", fmt::format("{} ({:.1f} per second)", result.at("gradients").get<std::int64_t>(),
                               result.at("gradients_per_second").get<double>()));
  row("seconds", fmt::format("{:.1f}", result.at("seconds").get<double>()));
  row("meta-objective", fmt::format("{:.4f} (first tenth) -> {:.4f} (last tenth)",
                                    result.at("meta_objective_first").get<double>(),
                                    result.at("meta_objective_last").get<double>()));
  row("refused gradients", by_cause(result.at("refused")));
  row("workers lost", fmt::format("{}", result.at("workers_lost").get<std::int64_t>()));
  for (const auto& loss : result.at("lost"))
    row("", in_words(loss) + ": " + loss.at("reason").get<std::string>());
  for (const auto& departure : result.at("left")) row("worker left", in_words(departure));
  for (const auto& [worker, part] : result.at("workers").items())
    row(fmt::format("worker {}", worker).c_str(),
        fmt::format("{} gradients ({:.1f} %), refused: {}", part.at("gradients").get<std::int64_t>(),
                    100.0 * part.at("share").get<double>(), by_cause(part.at("refused"))));
  row("rule", run_directory + "/rule.h5");
  if (result.contains("best_update"))
    row("best rule", fmt::format("{}/rule-best.h5 (update {}, validation {:.4f})", run_directory,
                                 result.at("best_update").get<std::int64_t>(),
                                 result.at("best_validation_meta_objective").get<double>()));
  if (reason == StopReason::signal || reason == StopReason::failures || reason == StopReason::disk)
    fmt::print("To go on: outerloop train --resume --run-dir {}\n", run_directory);
  std::fflush(stdout);
}

/// The last checkpoint, result.json and the table. Returns the exit code.
int finish(const Coordinator& coordinator, RunDirectory& run, const TrainOptions& options) {
  StopReason reason = coordinator.stop_reason();
  const auto last = coordinator.snapshot();
  // A θ that has diverged must not replace the last good one.
  if (reason != StopReason::diverged) run.on_checkpoint(last);
  if (!run.last_checkpoint_written() && reason != StopReason::diverged) reason = StopReason::disk;
  const json result = result_of(coordinator, last, reason, run.theta_sha256());
  bool failed =
      reason == StopReason::failures || reason == StopReason::disk || reason == StopReason::diverged;
  try {
    run.write_result(result);
    if (!options.json.empty()) store::write_file_atomically(options.json, result.dump(2) + "\n");
  } catch (const Error& error) {  // the other ranks still have to be let go
    run.on_warning(error.what());
    failed = true;
  }
  print_result(result, run.path(), reason);
  return failed ? 1 : 0;
}

/// -n 1: coordinator and worker take turns in one process.
void serve_alone(Coordinator& coordinator, worker::Worker& worker, const net::Clock& clock,
                 const coordinator::LoopHooks& hooks) {
  std::optional<net::Frame> message = worker.hello();
  while (!coordinator.finished()) {
    const auto answers = coordinator.handle(0, net::encode(*message), clock.now());
    if (answers.empty()) continue;
    if (hooks.stop_requested()) coordinator.request_stop(StopReason::signal);
    coordinator.tick(clock.now());
    hooks.each_round();
    message = worker.handle(net::encode(answers.front().frame), clock);
  }
}

json environment_of(const net::MpiSession& mpi, const std::vector<std::string>& hosts, const RankSetup& setup,
                    double rate, const config::Settings& settings) {
  return {{"version", version()},
          {"git_revision", git_revision()},
          {"mpi", net::MpiSession::library_version()},
          {"compiler", __VERSION__},
          {"hosts", hosts},
          {"ranks", mpi.size()},
          {"device", settings.engine.device},
          {"engine", setup.engine_description},
          {"estimated_gradients_per_second", rate},
          {"started", coordinator::utc_now()}};
}

void check_datasets(const Plan& plan, const std::map<std::string, std::string>& now, RunDirectory& run) {
  for (const auto& name : changed_datasets(plan, now))
    run.on_warning("dataset " + name +
                   " differs from the one this run began with; it goes on with the new one");
}

/// Rank 0: everything but computing. Returns the exit code.
int coordinate(net::MpiSession& mpi, net::Watchdog& watchdog, Plan& plan, const TrainOptions& options,
               const RankSetup& setup, const std::vector<std::string>& hosts,
               const std::vector<std::string>& process_ids) {
  const auto& config = plan.settings.config;
  const std::int64_t workers = std::max(1, mpi.size() - 1);
  RunDirectory run(plan.run_directory, config.checkpoint().keep(), config.log().every_updates(),
                   plan.start.rule.update);
  check_datasets(plan, setup.dataset_sha256, run);
  if (!setup.warning.empty()) run.on_warning(setup.warning);
  plan.start.dataset_sha256 = setup.dataset_sha256;
  plan.start.rule.git_revision = git_revision();
  plan.start.rule.engine = setup.engine_description;
  plan.start.rule.instruction_set = setup.instruction_set;
  const net::SteadyClock clock;
  double rate = setup.gradients_per_second;
  if (plan.start.rule.update == 0) {
    const double began = clock.now();
    run.on_checkpoint(plan.start);
    if (mpi.size() == 1) rate = rate_with_checkpoints(rate, config, clock.now() - began);
  }
  run.write_environment(environment_of(mpi, hosts, setup, rate, plan.settings));
  print_start(plan, setup, rate, workers);

  std::vector<int> ranks(static_cast<std::size_t>(workers));
  std::iota(ranks.begin(), ranks.end(), mpi.size() == 1 ? 0 : 1);
  auto coordinator_settings = coordinator_options(plan, workers);
  coordinator_settings.replaces = options.respawn;
  Coordinator coordinator(coordinator_settings, plan.start, ranks, run, clock.now());
  std::optional<Progress> progress(std::in_place);
  net::PeerProcesses processes(process_ids);
  std::optional<Replacements> replacements;
  std::optional<JoinListener> join_listener;
  const coordinator::LoopHooks hooks{signal_received, [&] {
                                       run.retry(clock.now());
                                       for (const int worker : processes.ended(clock.now()))
                                         coordinator.process_ended(worker, clock.now());
                                       for (const auto& [number, member] : coordinator.membership().members())
                                         if (member.active() && !member.process.empty())
                                           processes.watch(number, member.process);
                                       if (replacements) replacements->replace(coordinator, clock.now());
                                       if (join_listener && !coordinator.stopping()) join_listener->look();
                                       watchdog.watch("its own computing");
                                       progress->show(progress_line(coordinator, run, config, clock.now()));
                                     }};
  if (mpi.size() == 1) {
    worker::Worker worker(stream_context(setup, plan.settings), worker_options(mpi, config),
                          setup.evaluator.get());
    serve_alone(coordinator, worker, clock, hooks);
    progress.reset();
    return finish(coordinator, run, options);
  }
  net::MpiTransport mpi_transport(mpi);
  net::WatchedTransport transport(mpi_transport, watchdog, "the workers");
  if (options.respawn) replacements.emplace(mpi_transport, watchdog, run, plan);
  if (options.joinable) join_listener.emplace(mpi_transport, watchdog, run, plan);
  coordinator::serve(transport, clock, coordinator, hooks);
  progress.reset();
  watchdog.watch("the file system to take the last checkpoint");
  const int exit_code = finish(coordinator, run, options);
  if (!coordinator::release_workers(transport, coordinator)) mpi.abandon();
  return exit_code;
}

/// Prints why nobody can go on, and returns the exit code. To be called from a catch block.
int say_why() {
  try {
    throw;
  } catch (const Error& error) {
    std::fprintf(stderr, "outerloop: %s\n", error.what());
    return error.exit_code();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "outerloop: unexpected failure: %s\n", error.what());
  }
  return 1;
}

/// What the watchdog does while all ranks need each other.
void end_job(const std::string& line) {
  std::fprintf(stderr, "outerloop: %s; the job ends\n", line.c_str());
  net::MpiSession::abort(1);
}

/// What it does on a worker, whose streams the others take over.
void end_worker(const std::string& line) {
  std::fprintf(stderr, "outerloop: %s; this worker ends, the others go on\n", line.c_str());
  std::_Exit(1);
}

/// The other ranks. Returns the exit code.
int compute(net::MpiSession& mpi, net::Watchdog& watchdog, const config::Settings& settings,
            const RankSetup& setup, const net::PeerProcess& coordinator, net::MpiTransport& mpi_transport,
            bool joined = false) {
  watchdog.set_expire(end_worker);
  net::WatchedTransport transport(mpi_transport, watchdog, "rank 0");
  worker::Worker worker(stream_context(setup, settings), worker_options(mpi, settings.config, joined),
                        setup.evaluator.get());
  try {
    const auto ended = [&] { return coordinator.ended(); };
    if (!worker::run_worker(transport, worker, signal_received, ended)) mpi.abandon();
  } catch (const Error&) {
    if (!transport.timed_out()) throw;
    // Without rank 0 there is no job. On another host it may live on behind a network that is cut: MPI_Abort,
    // which gets there once that has healed, would leave mpirun waiting for ever.
    const int exit_code = say_why();
    if (coordinator.watched()) net::MpiSession::abort(exit_code);
    std::_Exit(exit_code);
  }
  return 0;
}

/// A worker that comes while the run goes on: rank 0 has started it (--respawn), or it joins (--join).
int work_late(net::MpiSession& mpi, net::Watchdog& watchdog, const TrainOptions& options) {
  mpi.abandon();  // finalising would wait for those that are lost
  watchdog.watch("the run to let it in");
  const auto transport =
      mpi.spawned() ? std::make_unique<net::MpiTransport>(mpi) : request_to_join(mpi, options.join);
  watchdog.watch("rank 0 to say what is to be done");
  const Briefing briefing = receive_briefing(*transport);
  watchdog.set_deadline(briefing.plan.settings.config.watchdog_seconds());
  watchdog.watch("datasets and engine to open");
  const RankSetup setup = set_up_rank(mpi, briefing.plan, true);
  check_same_datasets(briefing.plan, setup.dataset_sha256);
  return compute(mpi, watchdog, briefing.plan.settings, setup, net::PeerProcess(briefing.coordinator),
                 *transport, !mpi.spawned());
}

/// What does not go together is said before anything else happens.
void check_flags(const TrainOptions& options, const net::MpiSession& mpi) {
  if (!options.join.empty() && (!options.config.empty() || !options.overrides.empty() || options.resume))
    throw InputError(
        "--join takes everything from the run that is joined; leave CONFIG, --set and --resume out");
  for (const auto& [given, flag] :
       {std::pair(options.respawn, "--respawn"), std::pair(options.joinable, "--joinable")})
    if (given && mpi.size() == 1)
      throw InputError(
          fmt::format("{}: one process does everything itself; start the run with "
                      "scripts/mpirun -n 2 or more",
                      flag));
}

}  // namespace

int train(int argc, char** argv, const TrainOptions& options) {
  // 1. Join the other ranks. From here on no wait is without end.
  catch_signals();
  net::Watchdog watchdog(net::this_rank(), kStartSeconds, end_job);
  watchdog.watch("all ranks to start");
  net::MpiSession mpi(&argc, &argv);
  if (mpi.spawned()) return work_late(mpi, watchdog, options);
  check_flags(options, mpi);
  if (!options.join.empty()) return work_late(mpi, watchdog, options);
  const bool computes = mpi.rank() > 0 || mpi.size() == 1;

  // 2. Rank 0 reads configuration and checkpoint; all ranks agree.
  watchdog.watch("rank 0 to read configuration and checkpoint");
  Plan plan = agree_on_plan(mpi, options);
  watchdog.set_deadline(plan.settings.config.watchdog_seconds());
  pin_worker(mpi, plan.settings, computes);

  // 3. Datasets and engine open on every rank, or none goes on.
  watchdog.watch("all ranks to open datasets and engine");
  const RankSetup setup = set_up_rank(mpi, plan, computes);
  const auto hosts = mpi.gather_all(mpi.host());
  const auto process_ids = mpi.gather_all(net::PeerProcess::here());
  const net::PeerProcess coordinator(process_ids.front());

  // 4. Rank 0 batches gradients and updates θ; the others unroll and send, until they are told to stop.
  try {
    if (mpi.rank() == 0) return coordinate(mpi, watchdog, plan, options, setup, hosts, process_ids);
    net::MpiTransport transport(mpi);
    return compute(mpi, watchdog, plan.settings, setup, coordinator, transport);
  } catch (...) {
    mpi.abandon();  // the others are not at their end: finalising would wait for them
    if (mpi.rank() == 0 && mpi.size() > 1) net::MpiSession::abort(say_why());
    throw;
  }
}

}  // namespace outerloop::cli
