#include "common/config/settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/config/paths.h"
#include "common/config/schema.h"
#include "common/data/listing.h"
#include "common/data/path_variables.h"
#include "common/data/scaling.h"
#include "common/rule/rules.h"

namespace outerloop::config {
namespace {

namespace fs = std::filesystem;

rule::RuleOptions rule_options(const proto::Config& config) {
  const auto& from = config.rule();
  rule::RuleOptions to;
  to.name = proto::Rule::Name_Name(from.name());
  to.neuron_local = {from.hidden_channels(), from.top_channels(),
                     from.delta_channels(),  from.readout_channels(),
                     from.hidden_blocks(),   from.top_layers(),
                     from.output_units(),    from.inner_step_size(),
                     from.ridge(),           from.separate_backward_readouts(),
                     from.initial_merge()};
  to.supervised_sgd = {from.initial_learning_rate(), from.initial_momentum()};
  return to;
}

bool supervised(const proto::Config& config) {
  return rule::rule_kind(proto::Rule::Name_Name(config.rule().name())).supervised;
}

rule::EngineOptions engine_options(const proto::Config& config) {
  const auto& from = config.engine();
  rule::EngineOptions to;
  to.kind = from.kind() == proto::Engine::fused ? rule::EngineKind::fused : rule::EngineKind::reference;
  to.precision = from.precision() == proto::Engine::float64 ? rule::Precision::float64
                 : from.precision() == proto::Engine::mixed ? rule::Precision::mixed
                                                            : rule::Precision::float32;
  to.device = config.device();
  to.instruction_set = proto::Engine::InstructionSet_Name(from.instruction_set());
  to.memory_budget_mib = from.memory_budget_mib();
  to.threads = static_cast<int>(from.threads());
  return to;
}

rule::EstimatorOptions estimator_options(const proto::Estimator& from) {
  rule::EstimatorOptions to;
  switch (from.kind()) {
    case proto::Estimator::backpropagation:
      to.kind = rule::EstimatorKind::backpropagation;
      break;
    case proto::Estimator::evolution:
      to.kind = rule::EstimatorKind::evolution;
      break;
    case proto::Estimator::persistent_evolution:
      to.kind = rule::EstimatorKind::persistent_evolution;
      break;
    case proto::Estimator::noise_reuse:
      to.kind = rule::EstimatorKind::noise_reuse;
      break;
  }
  to.deviation = from.deviation();
  to.pairs = from.pairs();
  to.backpropagation_share = from.backpropagation_share();
  return to;
}

data::AugmentationOptions augmentation_options(const proto::Augmentation& from) {
  data::AugmentationOptions to;
  to.probability = from.probability();
  to.shift = from.shift();
  to.rotation = from.rotation();
  to.scale = from.scale();
  to.contrast = from.contrast();
  to.inversion = from.inversion();
  to.noise = from.noise();
  to.target_scale = from.target_scale();
  return to;
}

/// For proto::Tasks or proto::FirstTasks.
template <class Message>
data::TaskSizes task_sizes(const Message& from) {
  return {from.minibatch(),
          {from.min_hidden_layers(), from.max_hidden_layers()},
          {from.min_width(), from.max_width()},
          {from.min_inner_steps(), from.max_inner_steps()}};
}

data::TaskOptions task_options(const proto::Config& config) {
  const auto& from = config.tasks();
  data::TaskOptions to;
  to.sizes = task_sizes(from);
  to.first = {from.first().tasks(), task_sizes(from.first())};
  to.way = {from.min_way(), from.max_way()};
  to.subclasses = {from.min_subclasses(), from.max_subclasses()};
  to.words = {from.min_words(), from.max_words()};
  to.labelled_per_class = from.labelled_per_class();
  to.output_units = supervised(config) ? 0 : config.rule().output_units();
  to.inner_steps_uniform = from.inner_steps_distribution() == proto::uniform;
  to.random_offset = from.random_offset();
  to.smallest_side = from.min_size();
  to.permute_probability = from.permute_probability();
  to.invert_probability = from.invert_probability();
  to.gain_jitter = from.gain_jitter();
  to.augmentation = augmentation_options(from.augmentation());
  to.share = {from.share().images(), from.share().texts(), from.share().tables()};
  return to;
}

/// An unset key of tasks.first has the value of the same key of tasks.
void inherit_first_tasks(proto::Tasks& tasks) {
  const auto* from = tasks.GetReflection();
  auto& first = *tasks.mutable_first();
  const auto* to = first.GetReflection();
  for (int i = 0; i < first.GetDescriptor()->field_count(); ++i) {
    const auto* field = first.GetDescriptor()->field(i);
    const auto* same = tasks.GetDescriptor()->FindFieldByName(field->name());
    if (same != nullptr && !to->HasField(first, field))
      to->SetInt64(&first, field, from->GetInt64(tasks, same));
  }
}

data::ScalingKind scaling_kind(const proto::Inputs& from) {
  return data::scaling_of_name(proto::Inputs::Scaling_Name(from.scaling()));
}

NamedDataset named_dataset(const proto::Dataset& from, const proto::Config& config,
                           const std::string& where) {
  if (from.name().empty())
    throw InputError(where + ": a dataset without a name; write dataset { name: \"glyphs\" }");
  NamedDataset to;
  to.request.name = from.name();
  to.request.path = path_of(from);
  to.request.size = config.tasks().size();
  to.request.words_per_example = config.tasks().words_per_example();
  to.request.scaling = scaling_kind(config.inputs());
  to.request.classes = from.classes() == proto::Dataset::train      ? data::ClassSplit::train
                       : from.classes() == proto::Dataset::held_out ? data::ClassSplit::held_out
                                                                    : data::ClassSplit::all;
  to.weight = from.weight();
  return to;
}

/// Clears the keys of `rule` that a module makes meaningless. Returns those that were given.
std::vector<std::string> ignore_keys(proto::Rule& rule) {
  std::vector<std::string> ignored;
  const auto* fields = rule.GetReflection();
  for (int i = 0; i < rule.GetDescriptor()->field_count(); ++i) {
    const auto* field = rule.GetDescriptor()->field(i);
    if (field->name() == "name" || field->name().find("path") != std::string::npos) continue;
    if (fields->HasField(rule, field)) ignored.push_back("rule." + field->name());
    fields->ClearField(&rule, field);
  }
  return ignored;
}

/// What the rule torchscript demands of the keys that were given. Returns those of `rule` that are ignored.
std::vector<std::string> prepare_module(proto::Config& config, const std::string& origin) {
  const bool scripted = config.rule().name() == proto::Rule::torchscript;
  if (!scripted && !config.rule().path().empty())
    throw InputError(origin + ": rule.path is for rule.name = torchscript, but rule.name is " +
                     proto::Rule::Name_Name(config.rule().name()) + "; leave one of them out");
  if (!scripted) return {};
  if (config.rule().path().empty())
    throw InputError(origin +
                     ": rule.name = torchscript needs rule.path, the module's file (docs/python-rules.md)");
  if (config.engine().has_kind() && config.engine().kind() == proto::Engine::fused)
    throw InputError(
        origin + ": engine.kind = fused does not know the rule torchscript; leave it out, or take reference");
  config.mutable_engine()->set_kind(proto::Engine::reference);
  return ignore_keys(*config.mutable_rule());
}

void check_pair(const std::string& origin, const std::string& low_key, std::int64_t low,
                const std::string& high_key, std::int64_t high) {
  if (low > high)
    throw InputError(fmt::format("{}: {} = {} exceeds {} = {}", origin, low_key, low, high_key, high));
}

void check_sizes(const std::string& origin, const std::string& prefix, const data::TaskSizes& sizes) {
  const auto check = [&](const char* key, const data::IntegerRange& range) {
    check_pair(origin, prefix + "min_" + key, range.low, prefix + "max_" + key, range.high);
  };
  check("hidden_layers", sizes.hidden_layers);
  check("width", sizes.width);
  check("inner_steps", sizes.inner_steps);
}

/// Constraints between several keys.
void check_contradictions(const proto::Config& c, const std::string& origin) {
  const auto& tasks = c.tasks();
  check_pair(origin, "tasks.min_way", tasks.min_way(), "tasks.max_way", tasks.max_way());
  check_pair(origin, "tasks.min_subclasses", tasks.min_subclasses(), "tasks.max_subclasses",
             tasks.max_subclasses());
  check_sizes(origin, "tasks.", task_sizes(tasks));
  check_pair(origin, "tasks.min_size", tasks.min_size(), "tasks.size", tasks.size());
  check_pair(origin, "tasks.min_words", tasks.min_words(), "tasks.max_words", tasks.max_words());
  check_sizes(origin, "tasks.first.", task_sizes(tasks.first()));
  if (tasks.augmentation().target_scale() > 0 && supervised(c))
    throw InputError(origin +
                     ": tasks.augmentation.target_scale is for rules without labels: the meta-objective of " +
                     proto::Rule::Name_Name(c.rule().name()) + " uses only classes; leave it out");
  check_pair(origin, "unroll.min_steps", c.unroll().min_steps(), "unroll.max_steps", c.unroll().max_steps());
  if (c.unroll().curriculum_updates() > 0)
    check_pair(origin, "unroll.curriculum_steps", c.unroll().curriculum_steps(), "tasks.max_inner_steps",
               tasks.max_inner_steps());
  const auto& optimizer = c.optimizer();
  if (optimizer.decay_updates() > 0 && optimizer.decay_updates() < optimizer.warmup_updates())
    throw InputError(
        fmt::format("{}: optimizer.decay_updates = {} is before the end of the warm-up "
                    "(optimizer.warmup_updates = {})",
                    origin, optimizer.decay_updates(), optimizer.warmup_updates()));
  if (c.device() != "cpu" && c.engine().kind() == proto::Engine::fused)
    throw InputError(fmt::format("{}: device = {} needs engine.kind = reference; fused runs only on the cpu",
                                 origin, c.device()));
  if (c.mode() == proto::Config::deterministic && c.streams() != c.batch())
    throw InputError(fmt::format("{}: mode = deterministic needs batch = streams, but they are {} and {}",
                                 origin, c.batch(), c.streams()));
  if (c.updates() == 0 && c.seconds() == 0)
    throw InputError(origin +
                     ": neither updates nor seconds is set, so the run would never end; set one of them");
}

Settings translate(proto::Config config, const std::string& origin) {
  // device: cuda implies the reference engine; an explicit `fused` contradicts it.
  if (config.has_device() && config.device() != "cpu" && !config.engine().has_kind())
    config.mutable_engine()->set_kind(proto::Engine::reference);
  const auto ignored = prepare_module(config, origin);
  inherit_first_tasks(*config.mutable_tasks());
  fill_defaults(config);
  // Saved configurations do not hold them: a resume would take their defaults for given ones.
  if (config.rule().name() == proto::Rule::torchscript) ignore_keys(*config.mutable_rule());
  // An update then uses one gradient per stream, whatever the number of workers.
  if (config.mode() == proto::Config::deterministic && config.streams() == 0)
    config.set_streams(config.batch());
  check_ranges(config, origin);
  check_contradictions(config, origin);
  Settings settings;
  settings.ignored_keys = ignored;
  settings.rule = rule_options(config);
  settings.engine = engine_options(config);
  settings.estimator = estimator_options(config.estimator());
  settings.tasks = task_options(config);
  settings.scaling = scaling_kind(config.inputs());
  for (const auto& dataset : config.tasks().dataset())
    settings.training.push_back(named_dataset(dataset, config, origin + ": tasks.dataset"));
  for (const auto& dataset : config.evaluation().dataset())
    settings.evaluation.push_back(named_dataset(dataset, config, origin + ": evaluation.dataset"));
  settings.config = std::move(config);
  return settings;
}

std::string read_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  if (stream) text << stream.rdbuf();
  if (stream.bad() || !stream.is_open()) throw InputError(path + ": the configuration cannot be read");
  return base::without_byte_order_mark(text.str(), path);
}

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(fs::path(share_directory()) / "configs", ignored))
    if (entry.path().extension() == ".textproto" && !data::is_clutter(entry.path().filename().string()))
      names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

rule::EngineOptions default_engine() { return engine_options(proto::Config::default_instance()); }

void Settings::set_module(std::shared_ptr<const rule::ScriptedRule> module) {
  if (module->supervised && tasks.augmentation.target_scale > 0)
    throw InputError("tasks.augmentation.target_scale is for rules without labels, but " + module->name +
                     " trains on labels; leave it out");
  rule.neuron_local.output_units = module->output_units;
  rule.neuron_local.ridge = module->ridge;
  tasks.output_units = module->output_units;
  rule.script = std::move(module);
}

std::string Settings::text() const { return to_text(config); }

std::string Settings::text_as_written() const {
  proto::Config written = config;
  forget_resolved_paths(written);
  return to_text(written);
}

std::int64_t Settings::evaluation_inner_steps() const {
  const std::int64_t set = config.evaluation().inner_steps();
  return set > 0 ? set : config.tasks().max_inner_steps();
}

std::vector<std::int64_t> Settings::evaluation_hidden_units() const {
  const auto or_middle = [](std::int64_t set, std::int64_t low, std::int64_t high) {
    return set > 0 ? set : std::max<std::int64_t>(1, (low + high + 1) / 2);
  };
  const auto& tasks = config.tasks();
  const auto layers =
      or_middle(config.evaluation().hidden_layers(), tasks.min_hidden_layers(), tasks.max_hidden_layers());
  return std::vector<std::int64_t>(
      static_cast<std::size_t>(layers),
      or_middle(config.evaluation().width(), tasks.min_width(), tasks.max_width()));
}

std::string Settings::cache_directory() const {
  const auto& tasks = config.tasks();
  if (!tasks.resolved_cache_directory().empty()) return tasks.resolved_cache_directory();
  return tasks.cache_directory().empty() ? data::default_cache_directory()
                                         : data::expand_variables(tasks.cache_directory());
}

std::string share_directory() {
  std::error_code ignored;
  const fs::path executable = fs::read_symlink("/proc/self/exe", ignored);
  for (const char* up : {"../share/outerloop", "../..", "../../..", "."}) {
    const fs::path candidate = (executable.parent_path() / up).lexically_normal();
    if (fs::is_directory(candidate / "configs", ignored)) return candidate.string();
  }
  return ".";
}

std::string find_config(const std::string& config) {
  std::error_code ignored;
  if (fs::is_regular_file(config, ignored)) return config;
  const fs::path preset = fs::path(share_directory()) / "configs" / (config + ".textproto");
  if (fs::is_regular_file(preset, ignored)) return preset.string();
  throw InputError(fmt::format("{}: neither a file nor a preset; the presets are {}", config,
                               fmt::join(preset_names(), ", ")));
}

namespace {

Settings settings_of(proto::Config config, const std::string& origin,
                     const std::vector<std::string>& overrides, const std::vector<std::string>& data) {
  std::set<std::string> seen;
  for (const auto& assignment : overrides) {
    const std::string key = assignment.substr(0, assignment.find('='));
    if (!seen.insert(key).second)
      throw InputError(fmt::format("--set {}: key '{}' is given twice; keep one of them", assignment, key));
    apply_override(config, assignment);
    resolve_override(config, key);
  }
  set_data_paths(config, data);
  return translate(std::move(config), origin);
}

/// Whether a key may change at a resume, by --set or by editing the file.
bool resumable(const std::string& key, bool deterministic) {
  if (deterministic && key == "device") return false;
  const auto& keys = resumable_keys();
  return key.rfind("log.", 0) == 0 || std::find(keys.begin(), keys.end(), key) != keys.end();
}

}  // namespace

Settings settings_from_text(const std::string& text, const std::string& origin,
                            const std::vector<std::string>& overrides, const std::vector<std::string>& data) {
  return settings_of(parse_text(text, origin), origin, overrides, data);
}

Settings read_settings(const std::string& config, const std::vector<std::string>& overrides,
                       const std::vector<std::string>& data) {
  const std::string given = config.empty() ? "laptop" : config;
  const std::string path = find_config(given);
  proto::Config parsed = parse_text(read_file(path), path);
  const bool preset = path != given;
  resolve_paths(parsed, preset ? "." : fs::path(path).parent_path().string());
  return settings_of(std::move(parsed), path, overrides, data);
}

Settings settings_of_rule(const std::string& text, const std::string& rule_path) {
  const std::string origin = rule_path + ": /config";
  proto::Config config = parse_text(text, origin);
  use_paths_of_run(config, rule_path);
  // Files hold all keys of their time; before these two keys existed, there was one base model.
  constexpr int kLayers = 2, kUnits = 64;
  auto& evaluation = *config.mutable_evaluation();
  if (!evaluation.has_hidden_layers()) evaluation.set_hidden_layers(kLayers);
  if (!evaluation.has_width()) evaluation.set_width(kUnits);
  return translate(std::move(config), origin);
}

const std::vector<std::string>& resumable_keys() {
  static const std::vector<std::string> keys = {"updates",
                                                "seconds",
                                                "device",
                                                "engine.threads",
                                                "deadline_seconds",
                                                "silence_seconds",
                                                "max_failures",
                                                "log.every_updates",
                                                "tasks.dataset.path",
                                                "evaluation.dataset.path"};
  return keys;
}

void check_resume_overrides(const std::vector<std::string>& overrides) {
  for (const auto& assignment : overrides) {
    const std::string key = assignment.substr(0, assignment.find('='));
    if (!resumable(key, false))
      throw InputError(fmt::format("--set {}: '{}' may not change when a run is resumed; only {} may",
                                   assignment, key, fmt::join(resumable_keys(), ", ")));
  }
}

std::vector<std::string> check_edited(const Settings& now, const std::string& before,
                                      const std::string& origin) {
  const Settings begun = settings_from_text(before, "the checkpoint's configuration", {});
  const bool deterministic = begun.config.mode() == proto::Config::deterministic;
  std::vector<std::string> lines;
  for (const auto& changed : differences(begun.config, now.config)) {
    if (!resumable(changed.key, deterministic))
      throw InputError(
          fmt::format("{}: {} is {}, but the run used {} so far; it may not change when a run is resumed: "
                      "restore the old value",
                      origin, changed.key, changed.after, changed.before));
    lines.push_back(fmt::format("{}: {} is {}; the run began with {}", origin, changed.key, changed.after,
                                changed.before));
  }
  return lines;
}

}  // namespace outerloop::config
