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
#include "cli/evaluation_setup.h"
#include "cli/run_pace.h"
#include "cli/support/cores.h"
#include "cli/support/rule_module.h"
#include "cli/version.h"
#include "common/base/cores.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "common/net/peer_process.h"
#include "common/rule/engines/device.h"
#include "common/rule/engines/make_engine.h"
#include "common/rule/estimator.h"
#include "common/rule/phi.h"
#include "coordinator/run_directory.h"

namespace outerloop::cli {
namespace {

using nlohmann::json;

/// Thrown where another has printed the line already.
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
  for (const auto& named : plan.settings.training) {
    datasets.push_back({data::open_dataset(named.request, cache, &setup.remarks), named.weight});
    const auto key = dataset_key(datasets.size() - 1, named);
    setup.dataset_sha256[key] = datasets.back().dataset->sha256;
  }
  setup.tasks =
      std::make_unique<data::TaskDistribution>(plan.settings.tasks, std::move(datasets), config.seed());
  setup.evaluator = open_evaluator(plan.settings, *setup.tasks, *setup.engine, setup.remarks);
}

/// Of the datasets for training, by dataset_key().
json dataset_reports(const Plan& plan, const RankSetup& setup) {
  json reports = json::object();
  for (std::size_t i = 0; i < plan.settings.training.size(); ++i) {
    const auto& dataset = *setup.tasks->datasets().at(i).dataset;
    reports[dataset_key(i, plan.settings.training[i])] = {
        {"sha256", dataset.sha256}, {"examples", dataset.examples()}, {"classes", dataset.classes()}};
  }
  return reports;
}

/// What a rank has put into its report; texts of other ranks are printed.
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

/// By place in an evaluation's list of datasets.
std::vector<std::size_t> opened_domains(const RankSetup& setup) {
  std::vector<std::size_t> domains;
  for (std::size_t i = 0; setup.evaluator != nullptr && i < setup.evaluator->datasets(); ++i)
    domains.push_back(static_cast<std::size_t>(setup.evaluator->domain(i)));
  return domains;
}

std::vector<std::string> training_names(const data::TaskDistribution& tasks) {
  std::vector<std::string> names;
  for (const auto& weighted : tasks.datasets()) names.push_back(weighted.dataset->name);
  return names;
}

/// Numbers of φ of the largest base model that a task may have.
std::int64_t most_phi(rule::Engine& engine, const data::TaskDistribution& tasks) {
  const auto& options = tasks.options();
  std::int64_t inputs = 0;
  for (const auto& weighted : tasks.datasets()) inputs = std::max(inputs, weighted.dataset->inputs);
  std::int64_t most = 0;
  for (const auto* sizes : {&options.sizes, &options.first.sizes}) {
    if (sizes->width.high < 1) continue;  // there are no first tasks
    rule::Architecture largest;
    largest.units = {inputs};
    largest.units.insert(largest.units.end(), static_cast<std::size_t>(sizes->hidden_layers.high),
                         sizes->width.high);
    largest.units.push_back(options.output_units > 0 ? options.output_units : options.way.high);
    most = std::max(most, engine.phi_layout(largest).size());
  }
  return most;
}

/// φ, and with persistent evolution strategies two more and the noise, for each pair.
std::int64_t most_stream_bytes(rule::Engine& engine, const data::TaskDistribution& tasks,
                               const rule::EstimatorOptions& estimator) {
  constexpr std::int64_t kRest = 1 << 16;  // names and numbers
  const std::int64_t phi = most_phi(engine, tasks);
  const std::int64_t pairs = estimator.persistent() ? estimator.pairs : 0;
  const auto number = static_cast<std::int64_t>(sizeof(double));
  return kRest + number * (phi + pairs * (engine.theta_layout().size() + 2 * phi));
}

}  // namespace

std::vector<std::string> changed_datasets(const Plan& plan, const std::map<std::string, std::string>& here) {
  std::vector<std::string> changed;
  for (const auto& [name, hash] : plan.start.dataset_sha256) {
    const auto found = here.find(name);
    if (found == here.end() || found->second != hash) changed.push_back(name);
  }
  return changed;
}

void check_same_datasets(const Plan& plan, const std::map<std::string, std::string>& here) {
  if (plan.settings.config.mode() != proto::Config::deterministic) return;
  const auto changed = changed_datasets(plan, here);
  if (!changed.empty())
    throw InputError(
        fmt::format("{}: mode = deterministic, and dataset {} differs from the one that the "
                    "run began with; bring that one back",
                    plan.run_directory, changed.front()));
}

namespace {

/// A path may change over a resume, what it leads to may not.
void check_moved(const Plan& plan, const RankSetup& setup) {
  for (const auto& name : changed_datasets(plan, setup.dataset_sha256))
    if (plan.moved.count(name) > 0)
      throw InputError(
          fmt::format("{}: dataset {} at its new path differs from the one that the run began with; give "
                      "the path of the same data (--data NAME=PATH)",
                      plan.run_directory, name));
}

/// Deterministic mode: all ranks compute the same bits, and those that the run began with.
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
                    "{}; go on where that one exists",
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
        std::fprintf(stderr, "outerloop: %s%s\n", where.c_str(),
                     base::printable(other.at("error").get<std::string>()).c_str());
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

/// Ranks of this host before its first worker: 1 on the host of a rank 0 that does not compute, else 0.
int coordinators_here(const net::MpiSession& mpi) {
  return mpi.size() > 1 && mpi.local_rank() == mpi.rank() ? 1 : 0;
}

/// Opens datasets and engine on this rank, measures it, and returns what the others are to know.
std::string open_rank(const net::MpiSession& mpi, const Plan& plan, const worker::Pulse::Hooks& hooks,
                      RankSetup& setup) {
  const net::SteadyClock clock;
  worker::Pulse pulse(clock, hooks);
  auto engine = plan.settings.engine;
  engine.local_rank = mpi.local_rank() - coordinators_here(mpi);
  setup.engine = rule::make_engine(plan.settings.rule, engine);
  const std::string device = rule::device_description(engine);
  if (device != "cpu")
    setup.remarks.push_back(mpi.host() + ", rank " + std::to_string(mpi.rank()) + ": " + device);
  const worker::Beating beating(*setup.engine, pulse);
  open_datasets(plan, setup);
  const json opened = {
      {"datasets", dataset_reports(plan, setup)},
      {"host", mpi.host()},
      {"revision", program_revision()},
      {"remarks", setup.remarks},
      {"domains", opened_domains(setup)},
      {"names", training_names(*setup.tasks)},
      {"stream_bytes", most_stream_bytes(*setup.engine, *setup.tasks, plan.settings.estimator)},
      {"engine", setup.engine->description()},
      {"instruction_set", setup.engine->instruction_set()},
      {"cores", base::available_cores()},
      {"gradients_per_second", measure_pace(*setup.engine, *setup.tasks, plan.settings, mpi.rank())}};
  return opened.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// What all ranks that compute have said of themselves.
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
    setup.gradients_per_second += opened.at("gradients_per_second").get<double>();
  }
  return reports;
}

RankSetup open_on_all_ranks(const net::MpiSession& mpi, const Plan& plan, bool computes,
                            const worker::Pulse::Hooks& hooks) {
  RankSetup setup;
  const auto values =
      on_all_ranks(mpi, [&] { return computes ? open_rank(mpi, plan, hooks, setup) : std::string(); });
  setup.remarks.clear();
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
    if (!plan.config_text.empty())
      coordinator::RunDirectory::write_config(plan.run_directory, plan.config_text);
    return std::string();
  });
  for (const auto* lines : {&differences.datasets, &differences.program, &differences.unknown})
    setup.remarks.insert(setup.remarks.end(), lines->begin(), lines->end());
  return setup;
}

}  // namespace

std::string program_revision() { return version() + " (" + git_revision() + ")"; }

RankSetup set_up_rank(const net::MpiSession& mpi, const Plan& plan, bool computes,
                      const worker::Pulse::Hooks& hooks) {
  try {
    return open_on_all_ranks(mpi, plan, computes, hooks);
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

void pin_worker(const net::MpiSession& mpi, const config::Settings& settings, bool computes) {
  const char* wish = std::getenv("OUTERLOOP_PIN");
  if ((wish != nullptr && std::string(wish) == "0") || !computes) return;
  const int others = coordinators_here(mpi);
  const auto cores = cores_of_worker(usable_cores(), mpi.local_size() - others, mpi.local_rank() - others,
                                     settings.engine.threads);
  if (!cores.empty()) stay_on(cores);
}

}  // namespace outerloop::cli
