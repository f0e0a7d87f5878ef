#pragma once
// Reads and checks a configuration, and translates it into the options of rule, engine and tasks.
#include <memory>
#include <string>
#include <vector>

#include "common/data/task.h"
#include "common/rule/engine.h"
#include "common/rule/estimator.h"
#include "common/rule/scripted_rule.h"
#include "outerloop/config.pb.h"

namespace outerloop::config {

/// A dataset of a run's configuration.
struct NamedDataset {
  data::DatasetRequest request;
  double weight = 0.0;  ///< share of tasks, relative
};

struct Settings {
  proto::Config config;  ///< resolved: every scalar is set
  rule::RuleOptions rule;
  rule::EngineOptions engine;
  rule::EstimatorOptions estimator;
  data::TaskOptions tasks;
  data::ScalingKind scaling = data::ScalingKind::quantiles;  ///< of all datasets of vectors
  std::vector<NamedDataset> training;
  std::vector<NamedDataset> evaluation;
  std::vector<std::string> ignored_keys{};  ///< given in `rule`, but a module says the same itself

  /// Gives the rule torchscript its module, which knows what `config` does not: whether it trains on labels,
  /// its outputs and its λ. Throws InputError where the tasks do not suit it.
  void set_module(std::shared_ptr<const rule::ScriptedRule> module);

  /// The content of config.textproto.
  std::string text() const;
  /// The configuration in a rule's file: without the resolved paths, which are specific to this machine.
  std::string text_as_written() const;

  /// evaluation.inner_steps, or tasks.max_inner_steps.
  std::int64_t evaluation_inner_steps() const;

  /// Units of the hidden layers: evaluation.width, evaluation.hidden_layers times. If they are 0: the middle
  /// of the ranges of tasks, at least one layer.
  std::vector<std::int64_t> evaluation_hidden_units() const;

  /// The cache folder for rendered and cropped data: tasks.cache_directory, or the default.
  std::string cache_directory() const;
};

/// Reads CONFIG (a file, or the name of a preset in configs/; empty: the preset laptop), then applies the
/// overrides and new paths (NAME=PATH) of datasets. Relative paths of a file are relative to its folder,
/// others to the working directory. Throws InputError: unknown key, key given twice, value out of range,
/// contradictory keys.
Settings read_settings(const std::string& config, const std::vector<std::string>& overrides,
                       const std::vector<std::string>& data = {});

/// The same from text in memory; `origin` names it in errors. Relative paths use the recorded resolved paths,
/// or else the working directory.
Settings settings_from_text(const std::string& text, const std::string& origin,
                            const std::vector<std::string>& overrides,
                            const std::vector<std::string>& data = {});

/// The configuration in the file of a rule or checkpoint. If the file is in a run's folder, datasets are read
/// from the paths that the run has resolved.
Settings settings_of_rule(const std::string& text, const std::string& rule_path);

/// The engine of an empty configuration: for benchmarks and `doctor`, which have no configuration.
rule::EngineOptions default_engine();

/// The keys that may change when a run is resumed.
const std::vector<std::string>& resumable_keys();

/// Throws InputError naming the first override that a resume may not change.
void check_resume_overrides(const std::vector<std::string>& overrides);

/// Compares the saved configuration `now`, which may have been edited, with `before`, the text in the run's
/// checkpoint. Throws InputError that names the first changed key that may not change. Returns a line for
/// each other changed key.
std::vector<std::string> check_edited(const Settings& now, const std::string& before,
                                      const std::string& origin);

/// Full path of a preset or file. Throws InputError listing the presets that exist.
std::string find_config(const std::string& config);

/// The folder that holds configs/ and rules/: the source tree or the installed share folder.
std::string share_directory();

}  // namespace outerloop::config
