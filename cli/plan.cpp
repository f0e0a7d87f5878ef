#include "cli/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "cli/signals.h"
#include "cli/support/rule_module.h"
#include "cli/version.h"
#include "common/base/error.h"
#include "common/base/standard_streams.h"
#include "common/data/overlap.h"
#include "common/net/mpi.h"
#include "common/rule/checks.h"
#include "common/rule/grow.h"
#include "common/rule/theta.h"
#include "coordinator/run_directory.h"

namespace outerloop::cli {

namespace {
const std::string kEvaluation = "evaluation.";
}

std::string dataset_key(std::size_t number, const config::NamedDataset& dataset) {
  return fmt::format("{}.{}", number, dataset.request.name);
}

std::string evaluation_key(std::size_t number, const config::NamedDataset& dataset) {
  return kEvaluation + dataset_key(number, dataset);
}

bool is_evaluation_key(const std::string& key) { return key.rfind(kEvaluation, 0) == 0; }

namespace {

std::string default_run_directory(const std::string& config) {
  const std::size_t slash = config.find_last_of('/');
  std::string name = slash == std::string::npos ? config : config.substr(slash + 1);
  name = name.substr(0, name.find('.'));
  return "runs/" + (name.empty() ? "laptop" : name);
}

std::string shape_of(const rule::TensorSpec& tensor) {
  return fmt::format("[{}]", fmt::join(tensor.shape, ", "));
}

/// The first difference between a file's θ and the configuration's, e.g. "its top.in.w is [16, 8], the
/// configuration's [16, 16]".
std::string first_difference(const rule::Layout& file, const rule::Layout& wanted) {
  for (const auto& tensor : wanted.tensors()) {
    if (!file.contains(tensor.name)) return fmt::format("it has no {}", tensor.name);
    const auto& other = file.at(tensor.name);
    if (other.shape != tensor.shape)
      return fmt::format("its {} is {}, the configuration's {}", tensor.name, shape_of(other),
                         shape_of(tensor));
  }
  for (const auto& tensor : file.tensors())
    if (!wanted.contains(tensor.name))
      return fmt::format("it has {}, which the configuration lacks", tensor.name);
  return "its parameters are in a different order";
}

/// Starts the run with θ of another run's rule, grown where the configuration's rule is larger. Throws
/// InputError if it does not fit.
void start_from(const std::string& path, Plan& plan) {
  auto& wanted = plan.start.rule;
  auto other = store::read_rule(path);
  if (other.rule != wanted.rule)
    throw InputError(fmt::format("{}: holds a rule {}, but the configuration names {}; set rule.name={}",
                                 path, other.rule, wanted.rule, other.rule));
  if (!rule::all_finite(other.theta))
    throw InputError(path + ": its θ holds numbers that are not finite; start from another rule");
  plan.theta_origin = path;
  if (other.layout.signature() == wanted.layout.signature()) {
    wanted.theta = std::move(other.theta);
    return;
  }
  auto grown = rule::grow_theta(other.layout, other.theta, wanted.layout, wanted.theta);
  if (!grown)
    throw InputError(fmt::format(
        "{}: its θ does not fit the configuration's rule: {}; use the same rule {{ }} in CONFIG "
        "(outerloop inspect shows it), or one with more hidden_channels or a multiple of its output_units",
        path, first_difference(other.layout, wanted.layout)));
  wanted.theta = std::move(*grown);
  plan.theta_origin += fmt::format(", which has {}", other.theta.size());
}

/// The rule before the first update, with a random θ.
store::RuleFile first_rule(const config::Settings& settings) {
  store::RuleFile rule;
  rule.rule = settings.rule.name;
  rule.layout = rule::theta_layout(settings.rule);
  rule.git_revision = git_revision();
  rule.config = settings.text_as_written();
  rule.script = settings.rule.script;
  rule.theta = rule::initial_theta(settings.rule, settings.config.seed());
  return rule;
}

/// `text`: the run's saved configuration; `settings`: the same with --set.
void check_same_device(const std::string& text, const std::string& origin, const config::Settings& settings) {
  const std::string before = config::settings_from_text(text, origin, {}).config.device();
  if (settings.config.mode() == proto::Config::deterministic && settings.config.device() != before)
    throw InputError(
        fmt::format("--set device={}: the run began on {}, and in mode = deterministic the device "
                    "may not change; leave it out",
                    settings.config.device(), before));
}

/// Adds datasets to plan.moved whose path differs from that in `before`, which holds the paths of this start
/// or (`as_written`) those written in the configuration.
void note_moved(const config::Settings& before, bool as_written, Plan& plan) {
  const auto& now = plan.settings;
  const auto note = [&](const auto& is, const auto& was, const auto& is_written, const auto& was_written,
                        const auto& key) {
    for (std::size_t i = 0; i < is.size() && i < was.size(); ++i) {
      const int number = static_cast<int>(i);
      const bool differs = as_written ? is_written.Get(number).path() != was_written.Get(number).path()
                                      : is[i].request.path != was[i].request.path;
      if (differs) plan.moved.insert(key(i, is[i]));
    }
  };
  note(now.training, before.training, now.config.tasks().dataset(), before.config.tasks().dataset(),
       dataset_key);
  note(now.evaluation, before.evaluation, now.config.evaluation().dataset(),
       before.config.evaluation().dataset(), evaluation_key);
}

/// The assignments of --set that set a path.
std::vector<std::string> path_overrides(const std::vector<std::string>& overrides) {
  std::vector<std::string> paths;
  for (const auto& assignment : overrides)
    if (assignment.find(".path=") < assignment.find('=')) paths.push_back(assignment);
  return paths;
}

/// Called before any other file is read, so that no other process changes them afterwards.
void lock_run(Plan& plan) {
  plan.lock = std::make_shared<coordinator::HeldLock>(plan.run_directory, signal_received);
}

/// Reads configuration and checkpoint of a run to resume.
void read_run(const TrainOptions& options, Plan& plan) {
  config::check_resume_overrides(options.overrides);
  coordinator::RunDirectory::read_config(plan.run_directory);  // throws if there is no run
  lock_run(plan);
  const std::string text = coordinator::RunDirectory::read_config(plan.run_directory);
  const std::string origin = plan.run_directory + "/config.textproto";
  plan.settings = config::settings_from_text(text, origin, options.overrides, options.data);
  check_same_device(text, origin, plan.settings);
  const auto saved = config::settings_from_text(text, origin, {});
  note_moved(saved, false, plan);
  const auto paths = path_overrides(options.overrides);
  if (!paths.empty() || !options.data.empty())
    plan.config_text = config::settings_from_text(text, origin, paths, options.data).text();

  std::vector<std::string> lines;
  if (coordinator::RunDirectory::read_latest(plan.run_directory, plan.start, lines)) {
    set_module(plan.settings, plan.start.rule, plan.run_directory);
    if (plan.start.rule.layout.signature() != rule::theta_layout(plan.settings.rule).signature())
      throw InputError(plan.run_directory + ": the checkpoint's θ does not fit the run's configuration");
    const auto edited = config::check_edited(saved, plan.start.rule.config, origin);
    lines.insert(lines.end(), edited.begin(), edited.end());
    note_moved(config::settings_from_text(plan.start.rule.config, "the checkpoint", {}), true, plan);
  }
  plan.best = coordinator::RunDirectory::read_best(plan.run_directory, lines);
  for (const auto& line : lines) base::print_remark(line);
}

/// Creates the run directory. Throws InputError if it is not empty; the message names the process if a live
/// one uses the directory.
void make_run_directory(Plan& plan) {
  namespace fs = std::filesystem;
  const auto& path = plan.run_directory;
  const auto owner = coordinator::RunLock::known_owner(path, coordinator::real_surroundings());
  if (!owner) coordinator::RunDirectory::refuse_used(path);
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw InputError(path + ": the run directory cannot be made: " + error.message());
  lock_run(plan);
  try {
    coordinator::RunDirectory::create(path, plan.settings.text());
  } catch (const Error&) {
    plan.lock.reset();
    fs::remove(path, error);  // only if it is empty
    throw;
  }
}

void check_datasets_apart(const config::Settings& settings) {
  std::vector<data::DatasetRequest> training, evaluation;
  for (const auto& dataset : settings.training) training.push_back(dataset.request);
  for (const auto& dataset : settings.evaluation) evaluation.push_back(dataset.request);
  if (training.empty())
    throw InputError("tasks.dataset: no dataset to train on; add dataset { name: \"glyphs\" }");
  data::check_no_overlap(training, evaluation);
}

}  // namespace

Plan make_plan(const TrainOptions& options, int workers) {
  Plan plan;
  plan.run_directory =
      options.run_directory.empty() ? default_run_directory(options.config) : options.run_directory;
  plan.resumed = options.resume;
  if (options.resume && !options.init_theta.empty())
    throw InputError("--init-theta starts a new run, --resume continues one; give only one of them");
  if (std::string why; options.joinable && !net::MpiSession::can_connect(why))
    throw InputError("--joinable: " + why);
  if (options.resume)
    read_run(options, plan);
  else
    plan.settings = config::read_settings(options.config, options.overrides, options.data);
  if (!plan.settings.rule.script) read_module(plan.settings);
  auto& config = plan.settings.config;
  if (config.streams() == 0) config.set_streams(std::max<std::int64_t>(workers, config.batch()));
  check_datasets_apart(plan.settings);
  if (plan.start.rule.theta.empty()) {
    plan.start.rule = first_rule(plan.settings);
    if (!options.init_theta.empty()) start_from(options.init_theta, plan);
  }
  if (!options.resume) make_run_directory(plan);
  return plan;
}

void remove_unstarted(const Plan& plan) {
  if (!plan.resumed && plan.lock)
    coordinator::RunDirectory::remove_unstarted(plan.run_directory, plan.run_lock());
}

}  // namespace outerloop::cli
