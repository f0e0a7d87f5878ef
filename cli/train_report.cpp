#include "cli/train_report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <utility>

#include "cli/evaluation_setup.h"
#include "cli/run_pace.h"
#include "cli/support/progress.h"
#include "cli/version.h"
#include "common/data/scaling.h"

namespace outerloop::cli {
namespace {

using coordinator::Coordinator;
using coordinator::RunDirectory;
using coordinator::StopReason;
using nlohmann::json;

/// Prints to standard output. Ignores failures, because a run outlives a closed terminal or a full disk; main
/// reports them at the end.
template <class... Arguments>
void put(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  const std::string text = fmt::format(format, std::forward<Arguments>(arguments)...);
  std::fwrite(text.data(), 1, text.size(), stdout);
}

/// e.g. "3:00, about 350 updates"; the limit that is reached first decides.
std::string how_long(const proto::Config& config, const store::Checkpoint& start,
                     double gradients_per_second) {
  const double rate =
      gradients_per_second / static_cast<double>(gradients_per_update(config));  // updates per second
  const double seconds_left = config.seconds() > 0 ? config.seconds() - start.seconds : 1e30;
  const double updates_left =
      config.updates() > 0 ? static_cast<double>(config.updates() - start.rule.update) : 1e30;
  if (std::min(seconds_left, updates_left) <= 0.0) return "no longer: its limit is reached";
  if (seconds_left < updates_left / rate)
    return fmt::format("{}, about {:.0f} updates", duration(seconds_left), seconds_left * rate);
  return fmt::format("{:.0f} updates, about {}", updates_left, duration(updates_left / rate));
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

/// Each worker's part since this start: gradients, their share of all, rejected ones by cause.
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

/// The worker, and the time, of a loss or a departure.
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

/// The lost workers since this start.
json lost_of(const Coordinator& coordinator) {
  json lost = json::array();
  for (const auto& loss : coordinator.losses()) {
    lost.push_back(gone(loss));
    lost.back()["reason"] = loss.reason;
    lost.back()["noticed_by"] = coordinator::noticed_by_name(loss.noticed_by);
    lost.back()["after_seconds"] = loss.after;
  }
  return lost;
}

/// The workers that left early since this start.
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

/// Shares of the domains; empty if none is set.
std::string shares_of(const config::Settings& settings) {
  std::string shares;
  for (const data::Domain domain : data::kDomains)
    if (const double share = settings.tasks.share[static_cast<std::size_t>(domain)]; share > 0.0)
      shares += fmt::format("{}{} {:g}", shares.empty() ? "" : ", ", data::domain_name(domain), share);
  return shares;
}

}  // namespace

std::string silent_workers(const coordinator::Membership& membership, double now) {
  constexpr double kSeconds = 30.0, kTimesUsual = 10.0;
  int silent = 0, longest_silent = 0;
  double longest = 0.0;
  for (const auto& [number, member] : membership.members()) {
    const double since = now - member.last_heard;
    if (!member.active() || since <= kSeconds || since <= kTimesUsual * member.usual_pause) continue;
    ++silent;
    if (since <= longest) continue;
    longest = since;
    longest_silent = number;
  }
  if (silent == 0) return {};
  const auto& member = membership.members().at(longest_silent);
  return fmt::format(" | worker {} on {} last heard of {} ago{}", longest_silent, member.host,
                     duration(longest), silent > 1 ? fmt::format(", {} more silent", silent - 1) : "");
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

void print_start(const Plan& plan, const RankSetup& setup, double rate, std::int64_t workers) {
  const auto& config = plan.settings.config;
  std::string datasets;
  for (const auto& dataset : plan.settings.training)
    datasets +=
        fmt::format("{}{} (weight {:g})", datasets.empty() ? "" : ", ", dataset.request.name, dataset.weight);
  const auto row = [](const char* name, const std::string& value) { put("  {:<16}{}\n", name, value); };
  put("Meta-training {}\n", plan.settings.rule.name);
  const auto update = plan.start.rule.update;
  row("how long",
      how_long(config, plan.start, rate) + (update > 0 ? fmt::format(", from update {} on", update) : ""));
  row("run directory", plan.run_directory);
  const std::int64_t group = config.tasks().group();
  row("workers", fmt::format("{} ({} streams{}, {} gradients per update)", workers, config.streams(),
                             group > 1 ? fmt::format(" of {} tasks side by side", group) : "",
                             gradients_per_update(config)));
  row("engine", setup.engine_description);
  const auto& estimator = plan.settings.estimator;
  if (estimator.kind != rule::EstimatorKind::backpropagation)
    row("estimator", fmt::format("{} (deviation {:g}, {} {}), backpropagation's share {:g}",
                                 rule::estimator_name(estimator.kind), estimator.deviation, estimator.pairs,
                                 estimator.pairs == 1 ? "pair" : "pairs", estimator.backpropagation_share));
  row("parameters", fmt::format("{} in θ{}{}", plan.start.rule.theta.size(),
                                plan.theta_origin.empty() ? "" : ", from ", plan.theta_origin));
  row("tasks", fmt::format("{}; {}x{} pixels", datasets, config.tasks().size(), config.tasks().size()));
  if (const std::string shares = shares_of(plan.settings); !shares.empty()) row("shares", shares);
  row("vectors", fmt::format("scaled by {}", data::scaling_name(plan.settings.scaling)));
  row("evaluation", evaluation_description(plan.settings));
  row("revision", git_revision());
  std::fflush(stdout);
}

std::string progress_line(const Coordinator& coordinator, const RunDirectory& run,
                          const proto::Config& config, double now) {
  const auto& newest = run.newest();
  const std::string silent = silent_workers(coordinator.membership(), now);
  if (newest.update == 0)
    return fmt::format("update {} | {} gradients so far{}", coordinator.update(),
                       coordinator.gradients() + coordinator.pending() * config.tasks().group(), silent);
  double left = config.seconds() > 0 ? config.seconds() - coordinator.seconds(now) : 1e30;
  if (config.updates() > 0 && newest.gradients_per_second > 0) {
    const double gradients =
        static_cast<double>((config.updates() - coordinator.update()) * gradients_per_update(config));
    left = std::min(left, gradients / newest.gradients_per_second);
  }
  return fmt::format("update {} | meta-objective {:.4f} | {:.1f} gradients/s | staleness {:.2f} | {} left{}",
                     newest.update, newest.meta_objective_smooth, newest.gradients_per_second,
                     newest.batch.staleness_mean, duration(left), silent);
}

json started_result(const net::MpiSession& mpi, std::int64_t update) {
  return {{"stop_reason", "running"},
          {"host", mpi.host()},
          {"process", getpid()},
          {"started", coordinator::utc_now()},
          {"updates", update}};
}

json result_of(const net::MpiSession& mpi, const Coordinator& coordinator, const store::Checkpoint& last,
               StopReason reason, const std::string& theta_sha256) {
  json result = {
      {"stop_reason", coordinator::stop_reason_name(reason)},
      {"host", mpi.host()},
      {"process", getpid()},
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

/// The path of rule.h5, with its update if that is not the last one. If the file is absent, a note that it
/// was not written.
std::string rule_row(const json& result, const RunDirectory& run) {
  const std::string path = run.path() + "/rule.h5";
  const auto update = run.rule_update();
  if (!update) return path + " was not written";
  if (*update == result.at("updates").get<std::int64_t>()) return path;
  return fmt::format("{} (of update {})", path, *update);
}

std::string best_rule_row(const json& result, const RunDirectory& run) {
  return fmt::format("{}/rule-best.h5 (update {}, validation {:.4f}{})", run.path(),
                     result.at("best_update").get<std::int64_t>(),
                     result.at("best_validation_meta_objective").get<double>(),
                     run.best_rule_written() ? "" : "; it was not written");
}

void print_result(const json& result, const RunDirectory& run, StopReason reason) {
  put("\nMeta-training ended ({}).\n", result.at("stop_reason").get<std::string>());
  const auto row = [](const char* name, const std::string& value) { put("  {:<26}{}\n", name, value); };
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
  row("rule", rule_row(result, run));
  if (result.contains("best_update")) row("best rule", best_rule_row(result, run));
  const bool may_go_on =
      reason == StopReason::signal || reason == StopReason::failures || reason == StopReason::disk;
  if (may_go_on && run.has_checkpoint())
    put("To continue: outerloop train --resume --run-dir {}\n", run.path());
  std::fflush(stdout);
}

}  // namespace outerloop::cli
