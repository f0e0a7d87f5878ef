#include "cli/startup.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "cli/agreement.h"
#include "cli/bench/machine.h"
#include "cli/evaluation_setup.h"
#include "cli/run_pace.h"
#include "cli/stream_sizes.h"
#include "cli/support/cores.h"
#include "cli/support/rule_module.h"
#include "cli/version.h"
#include "common/base/cores.h"
#include "common/base/error.h"
#include "common/base/standard_streams.h"
#include "common/base/text.h"
#include "common/net/peer_process.h"
#include "common/rule/engines/device.h"
#include "common/rule/engines/make_engine.h"
#include "common/rule/estimator.h"
#include "coordinator/admission.h"
#include "coordinator/run_directory.h"

namespace outerloop::cli {
namespace {

using nlohmann::json;

/// An error that has already been printed.
class SaidAlready : public Error {
 public:
  explicit SaidAlready(int exit_code) : Error(""), exit_code_(exit_code) {}
  int exit_code() const override { return exit_code_; }

 private:
  int exit_code_;
};

void open_datasets(const Plan& plan, RankSetup& setup) {
  const auto& config = plan.settings.config;
  const std::string cache = plan.settings.cache_directory();
  std::vector<data::WeightedDataset> datasets;
  for (const auto& named : plan.settings.training)
    datasets.push_back({data::open_dataset(named.request, cache, &setup.remarks), named.weight});
  setup.tasks =
      std::make_unique<data::TaskDistribution>(plan.settings.tasks, std::move(datasets), config.seed());
  setup.evaluator = open_evaluator(plan.settings, *setup.tasks, *setup.engine, setup.remarks);
}

/// Hashes and sizes of the training datasets, by dataset_key(), and of those for evaluation, by
/// evaluation_key().
json dataset_reports(const Plan& plan, const RankSetup& setup) {
  json reports = json::object();
  const auto report = [&](const std::string& key, const data::Dataset& dataset) {
    reports[key] = {
        {"sha256", dataset.sha256}, {"examples", dataset.examples()}, {"classes", dataset.classes()}};
  };
  const auto& training = plan.settings.training;
  for (std::size_t i = 0; i < training.size(); ++i)
    report(dataset_key(i, training[i]), *setup.tasks->datasets().at(i).dataset);
  const auto& evaluation = plan.settings.evaluation;
  for (std::size_t i = 0; setup.evaluator != nullptr && i < evaluation.size(); ++i)
    report(evaluation_key(i, evaluation[i]), setup.evaluator->dataset(training.size() + i));
  return reports;
}

/// Parses a rank's report; texts of other ranks are made printable.
RankReport report_of(int rank, const json& opened) {
  RankReport report{rank,
                    base::printable(opened.at("host").get<std::string>()),
                    base::printable(opened.at("revision").get<std::string>()),
                    {}};
  for (const auto& [key, dataset] : opened.at("datasets").items())
    report.datasets[key] = {base::printable(dataset.at("sha256").get<std::string>()),
                            dataset.at("examples").get<std::int64_t>(),
                            dataset.at("classes").get<std::int64_t>()};
  return report;
}

/// Domains by index in the evaluator's list of datasets.
std::vector<std::size_t> opened_domains(const RankSetup& setup) {
  std::vector<std::size_t> domains;
  for (std::size_t i = 0; setup.evaluator != nullptr && i < setup.evaluator->datasets(); ++i)
    domains.push_back(static_cast<std::size_t>(setup.evaluator->dataset(i).domain));
  return domains;
}

std::vector<std::string> training_names(const data::TaskDistribution& tasks) {
  std::vector<std::string> names;
  for (const auto& weighted : tasks.datasets()) names.push_back(weighted.dataset->name);
  return names;
}

}  // namespace

std::vector<std::string> changed_datasets(const Plan& plan, const std::map<std::string, std::string>& here) {
  std::vector<std::string> changed;
  for (const auto& [name, hash] : plan.start.dataset_sha256) {
    const auto found = here.find(name);
    const bool missing = found == here.end();
    if (missing && is_evaluation_key(name)) continue;  // the run does not evaluate any more
    if (missing || found->second != hash) changed.push_back(name);
  }
  return changed;
}

void check_same_datasets(const Plan& plan, const std::map<std::string, std::string>& here) {
  if (plan.settings.config.mode() != proto::Config::deterministic) return;
  const auto changed = changed_datasets(plan, here);
  if (!changed.empty())
    throw InputError(
        fmt::format("{}: mode = deterministic, and dataset {} differs from the one that the run began with; "
                    "restore that one",
                    plan.run_directory, coordinator::dataset_name(changed.front())));
}

namespace {

/// A dataset's path may change when a run is resumed, its contents may not.
void check_moved(const Plan& plan, const RankSetup& setup) {
  for (const auto& name : changed_datasets(plan, setup.dataset_sha256))
    if (plan.moved.count(name) > 0)
      throw InputError(
          fmt::format("{}: dataset {} at its new path differs from the one that the run began with; give "
                      "the path of the same data (--data NAME=PATH)",
                      plan.run_directory, coordinator::dataset_name(name)));
}

/// Deterministic mode: all ranks must compute the same bits, and those of the run so far.
void check_same_bits(const Plan& plan, const RankSetup& setup, const std::set<std::string>& engines) {
  if (engines.size() > 1)
    throw InputError(fmt::format(
        "mode = deterministic needs one engine and instruction set on all ranks, but there are: {}; set "
        "engine.instruction_set to what all hosts have",
        fmt::join(engines, "; ")));
  const auto& before = plan.start.rule.instruction_set;
  if (!before.empty() && before != setup.instruction_set)
    throw InputError(
        fmt::format("{}: mode = deterministic, and the run began with the instruction set {}, but here it is "
                    "{}; resume on a machine that has that one",
                    plan.run_directory, before, setup.instruction_set));
  check_same_datasets(plan, setup.dataset_sha256);
}

}  // namespace

std::vector<std::string> on_all_ranks(const net::MpiSession& mpi, const std::function<std::string()>& step) {
  json mine = {{"code", 0}};
  try {
    mine["value"] = step();
  } catch (const Error& error) {
    mine = {{"code", error.exit_code()}, {"error", error.what()}};
  } catch (const std::exception& error) {
    mine = {{"code", 1}, {"error", fmt::format("unexpected failure: {}", error.what())}};
  }
  std::vector<std::string> values;
  const auto all = mpi.gather_all(mine.dump(-1, ' ', false, json::error_handler_t::replace));
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    const json other = json::parse(all[rank]);
    const int code = other.at("code").get<int>();
    if (code != 0) {
      if (mpi.rank() == 0) {
        const std::string where = mpi.size() > 1 && rank > 0 ? fmt::format("rank {}: ", rank) : "";
        base::print_remark(where + other.at("error").get<std::string>());
      }
      throw SaidAlready(code);
    }
    values.push_back(other.at("value").get<std::string>());
  }
  return values;
}

Plan agree_on_plan(const net::MpiSession& mpi, const TrainOptions& options) {
  Plan plan;
  try {
    on_all_ranks(mpi, [&] {
      if (mpi.rank() == 0) plan = make_plan(options, std::max(1, mpi.size() - 1));
      return std::string();
    });
    const std::string text = mpi.broadcast(mpi.rank() == 0 ? plan.settings.text() : "");
    plan.run_directory = mpi.broadcast(plan.run_directory);
    const auto script = plan.settings.rule.script;
    const std::string module = mpi.broadcast(script ? script->bytes : "");
    const auto ignored = plan.settings.ignored_keys;
    plan.settings = config::settings_from_text(text, "the coordinator's configuration", {});
    plan.settings.ignored_keys = ignored;
    on_all_ranks(mpi, [&] {
      if (mpi.rank() == 0 && script)
        plan.settings.set_module(script);
      else
        set_module(plan.settings, module, module_name(plan.settings));
      return std::string();
    });
  } catch (const Error&) {
    if (mpi.rank() == 0) remove_unstarted(plan);
    throw;
  }
  return plan;
}

namespace {

/// A line if the fused engine is to use threads for base models that are too small for them; or empty.
std::string remark_on_threads(const config::Settings& settings) {
  if (settings.rule.name != "neuron_local" || settings.engine.kind != rule::EngineKind::fused) return "";
  const data::TaskSizes& later = settings.tasks.sizes;
  const data::TaskSizes& first = settings.tasks.first.sizes;  // zeros if there are no first tasks
  return too_small_for_threads(settings.engine.threads, std::max(later.width.high, first.width.high),
                               std::max(later.minibatch, first.minibatch),
                               settings.rule.neuron_local.hidden_channels);
}

/// Opens datasets and engine on this rank, and returns the report for the other ranks.
std::string open_rank(const net::MpiSession& mpi, const Plan& plan, const WorkerPlace& place,
                      const worker::Pulse::Hooks& hooks, RankSetup& setup) {
  const net::SteadyClock clock;
  worker::Pulse pulse(clock, hooks);
  auto engine = plan.settings.engine;
  engine.local_rank = place.index;
  setup.engine = rule::make_engine(plan.settings.rule, engine);
  const std::string device = rule::device_description(engine);
  if (device != "cpu")
    setup.remarks.push_back(mpi.host() + ", rank " + std::to_string(mpi.rank()) + ": " + device);
  const worker::Beating beating(*setup.engine, pulse);
  open_datasets(plan, setup);
  const json opened = {{"datasets", dataset_reports(plan, setup)},
                       {"host", mpi.host()},
                       {"revision", program_revision()},
                       {"remarks", setup.remarks},
                       {"domains", opened_domains(setup)},
                       {"names", training_names(*setup.tasks)},
                       {"stream_bytes", most_stream_bytes(most_lane_bytes(*setup.engine, *setup.tasks,
                                                                          plan.settings.estimator),
                                                          plan.settings.config.tasks().group())},
                       {"engine", setup.engine->description()},
                       {"instruction_set", setup.engine->instruction_set()},
                       {"cores", base::available_cores()}};
  return opened.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// Gradients per second of all ranks together.
double pace_of_all(const net::MpiSession& mpi, const Plan& plan, const WorkerPlace& place,
                   const worker::Pulse::Hooks& hooks, const RankSetup& setup) {
  const auto values = on_all_ranks(mpi, [&] {
    if (!place.computes) return std::string("0");
    const net::SteadyClock clock;
    worker::Pulse pulse(clock, hooks);
    const worker::Beating beating(*setup.engine, pulse);
    return json(measure_pace(*setup.engine, *setup.tasks, plan.settings, mpi.rank())).dump();
  });
  return std::accumulate(values.begin(), values.end(), 0.0, [](double sum, const std::string& value) {
    return sum + json::parse(value).get<double>();
  });
}

/// Reports of all computing ranks.
struct Reports {
  std::vector<RankReport> ranks;
  std::set<std::string> engines;
};

Reports read_reports(const std::vector<std::string>& values, const Plan& plan, RankSetup& setup) {
  Reports reports;
  std::set<std::string> said;
  for (std::size_t rank = 0; rank < values.size(); ++rank) {
    if (values[rank].empty()) continue;
    const json opened = json::parse(values[rank]);
    if (setup.warning.empty())
      setup.warning =
          too_few_cores(plan.settings.engine.threads, opened.at("cores").get<int>(), static_cast<int>(rank));
    for (const auto& remark : opened.at("remarks"))
      if (const auto line = base::printable(remark.get<std::string>()); said.insert(line).second)
        setup.remarks.push_back(line);
    reports.ranks.push_back(report_of(static_cast<int>(rank), opened));
    setup.domains.clear();
    for (const auto domain : opened.at("domains").get<std::vector<std::size_t>>())
      setup.domains.push_back(data::kDomains.at(domain));
    for (const auto& name : opened.at("names")) setup.training_names.insert(name.get<std::string>());
    setup.stream_bytes = std::max(setup.stream_bytes, opened.at("stream_bytes").get<std::int64_t>());
    setup.engine_description = opened.at("engine").get<std::string>();
    setup.instruction_set = opened.at("instruction_set").get<std::string>();
    reports.engines.insert(setup.engine_description + " (" + setup.instruction_set + ")");
  }
  return reports;
}

/// Of the streams, by the rank that the coordinator is on: it has the lock.
void check_sizes(const Plan& plan, const RankSetup& setup) {
  if (!plan.lock) return;
  const auto& config = plan.settings.config;
  const std::string objection =
      objection_to({config.tasks().group(), config.streams(), setup.stream_bytes, available_bytes()});
  if (!objection.empty()) throw InputError(objection);
}

RankSetup open_on_all_ranks(const net::MpiSession& mpi, const Plan& plan, const WorkerPlace& place,
                            const worker::Pulse::Hooks& hooks) {
  RankSetup setup;
  const auto values = on_all_ranks(
      mpi, [&] { return place.computes ? open_rank(mpi, plan, place, hooks, setup) : std::string(); });
  setup.remarks.clear();
  if (const std::string line = remark_on_threads(plan.settings); !line.empty()) setup.remarks.push_back(line);
  const Reports reports = read_reports(values, plan, setup);
  setup.dataset_sha256 = majority(reports.ranks);
  const auto differences = disagreements(reports.ranks);
  const bool deterministic = plan.settings.config.mode() == proto::Config::deterministic;
  on_all_ranks(mpi, [&] {
    if (mpi.rank() != 0) return std::string();
    for (const auto* lines : {&differences.datasets, &differences.program})
      if (deterministic && !lines->empty()) throw InputError("mode = deterministic: " + lines->front());
    check_moved(plan, setup);
    if (deterministic) check_same_bits(plan, setup, reports.engines);
    check_sizes(plan, setup);
    if (!plan.config_text.empty())
      coordinator::RunDirectory::write_config(plan.run_directory, plan.config_text);
    return std::string();
  });
  setup.gradients_per_second = pace_of_all(mpi, plan, place, hooks, setup);
  for (const auto* lines : {&differences.datasets, &differences.program, &differences.unknown})
    setup.remarks.insert(setup.remarks.end(), lines->begin(), lines->end());
  return setup;
}

}  // namespace

std::string program_revision() { return version() + " (" + git_revision() + ")"; }

RankSetup set_up_rank(const net::MpiSession& mpi, const Plan& plan, const WorkerPlace& place,
                      const worker::Pulse::Hooks& hooks) {
  try {
    return open_on_all_ranks(mpi, plan, place, hooks);
  } catch (const Error&) {
    if (mpi.rank() == 0) remove_unstarted(plan);
    throw;
  }
}

Ranks gather_ranks(const net::MpiSession& mpi) {
  Ranks ranks{mpi.gather_all(mpi.host()), mpi.gather_all(net::PeerProcess::here())};
  for (auto& host : ranks.hosts) host = base::printable(host);
  return ranks;
}

WorkerPlace worker_place(int rank, int local_rank, int local_size, const std::vector<std::string>& hosts) {
  if (hosts.size() == 1) return {};
  const bool with_coordinator = hosts.at(static_cast<std::size_t>(rank)) == hosts.front();
  const int before = with_coordinator ? 1 : 0;
  return {rank > 0, local_rank - before, local_size - before};
}

void pin_worker(const config::Settings& settings, const WorkerPlace& place) {
  const char* wish = std::getenv("OUTERLOOP_PIN");
  if ((wish != nullptr && std::string(wish) == "0") || !place.computes) return;
  const auto cores = cores_of_worker(usable_cores(), place.count, place.index, settings.engine.threads);
  if (!cores.empty()) stay_on(cores);
}

}  // namespace outerloop::cli
