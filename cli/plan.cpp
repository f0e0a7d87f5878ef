#include "cli/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "cli/support/rule_module.h"
#include "cli/version.h"
#include "common/base/error.h"
#include "common/data/overlap.h"
#include "common/net/mpi.h"
#include "common/rule/checks.h"
#include "common/rule/theta.h"
#include "coordinator/run_directory.h"

namespace outerloop::cli {

std::string dataset_key(std::size_t number, const config::NamedDataset& dataset) {
  return fmt::format("{}.{}", number, dataset.request.name);
}

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
      return fmt::format("it has {}, the configuration has not", tensor.name);
  return "its parameters come in another order";
}

/// θ of another run's rule, where it fits this configuration.
std::vector<double> initial_theta_from(const std::string& path, const store::RuleFile& wanted) {
  const auto other = store::read_rule(path);
  if (other.rule != wanted.rule)
    throw InputError(fmt::format("{}: holds a rule {}, the configuration names {}; set rule.name={}", path,
                                 other.rule, wanted.rule, other.rule));
  if (other.layout.signature() != wanted.layout.signature())
    throw InputError(
        fmt::format("{}: its θ is laid out for another rule than the configuration's: {}; make rule {{ }} in "
                    "CONFIG the same (outerloop inspect shows it)",
                    path, first_difference(other.layout, wanted.layout)));
  if (!rule::all_finite(other.theta))
    throw InputError(path + ": its θ holds numbers that are not finite; start from another rule");
  return other.theta;
}

/// The rule before the first update: random, or another run's θ.
store::RuleFile first_rule(const config::Settings& settings, const std::string& init_theta) {
  store::RuleFile rule;
  rule.rule = settings.rule.name;
  rule.layout = rule::theta_layout(settings.rule);
  rule.git_revision = git_revision();
  rule.config = settings.text_as_written();
  rule.script = settings.rule.script;
  rule.theta = rule::initial_theta(settings.rule, settings.config.seed());
  if (!init_theta.empty()) rule.theta = initial_theta_from(init_theta, rule);
  return rule;
}

/// `text` is the run's saved configuration, `settings` what it has become by --set.
void check_same_device(const std::string& text, const std::string& origin, const config::Settings& settings) {
  const std::string before = config::settings_from_text(text, origin, {}).config.device();
  if (settings.config.mode() == proto::Config::deterministic && settings.config.device() != before)
    throw InputError(
        fmt::format("--set device={}: the run began on {}, and in mode = deterministic the device "
                    "may not change; leave it out",
                    settings.config.device(), before));
}

/// Datasets that are read from elsewhere than by `before`: of this start, or as it was written at the
/// beginning.
void note_moved(const config::Settings& before, bool as_written, Plan& plan) {
  const auto& now = plan.settings;
  for (std::size_t i = 0; i < now.training.size() && i < before.training.size(); ++i) {
    const int number = static_cast<int>(i);
    const bool differs =
        as_written ? now.config.tasks().dataset(number).path() != before.config.tasks().dataset(number).path()
                   : now.training[i].request.path != before.training[i].request.path;
    if (differs) plan.moved.insert(dataset_key(i, now.training[i]));
  }
}

/// Those of --set that name a path.
std::vector<std::string> path_overrides(const std::vector<std::string>& overrides) {
  std::vector<std::string> paths;
  for (const auto& assignment : overrides)
    if (assignment.find(".path=") < assignment.find('=')) paths.push_back(assignment);
  return paths;
}

/// The lock first: what is read afterwards no other process changes.
void lock_run(Plan& plan) { plan.lock = std::make_shared<coordinator::HeldLock>(plan.run_directory); }

/// Configuration and checkpoint of the run that goes on.
void read_run(const TrainOptions& options, Plan& plan) {
  config::check_resume_overrides(options.overrides);
  coordinator::RunDirectory::read_config(plan.run_directory);  // or there is no run to be locked
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
  for (const auto& line : lines) std::fprintf(stderr, "outerloop: %s\n", line.c_str());
}

/// A directory that a living process is at work in is refused by that process's name, any other that is not
/// empty as such.
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
    fs::remove(path, error);  // if nothing else is in it
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
    throw InputError("--init-theta starts a new run, --resume goes on with one; give one of them");
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
  if (plan.start.rule.theta.empty()) plan.start.rule = first_rule(plan.settings, options.init_theta);
  if (!options.resume) make_run_directory(plan);
  return plan;
}

void remove_unstarted(const Plan& plan) {
  if (!plan.resumed && plan.lock)
    coordinator::RunDirectory::remove_unstarted(plan.run_directory, plan.run_lock());
}

}  // namespace outerloop::cli
