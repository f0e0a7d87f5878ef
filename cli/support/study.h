#pragma once
// A few-shot study of a rule, as defined on the command line of evaluate and figure: datasets, sizes, draws,
// base model and methods.
#include <cstdint>
#include <string>
#include <vector>

#include "cli/support/evaluated_rule.h"
#include "cli/support/rule_flags.h"
#include "common/config/settings.h"
#include "common/evaluation/few_shot.h"

namespace outerloop::cli {

struct StudyOptions {
  std::string rule;
  std::vector<std::string> datasets;  ///< NAME[:PATH][:SIDE]; empty: those of the rule's configuration
  std::vector<std::int64_t> sizes;    ///< empty: that of the rule's configuration
  std::int64_t labels = 10;           ///< examples per class
  std::int64_t draws = 50;
  BaseModelOptions base_model;
  std::uint64_t seed = 0;
  std::vector<std::string> baselines = {"all"};  ///< all, none, or names
  std::vector<std::string> readouts = {"all"};   ///< all, or names
  std::string theta = "average";                 ///< average | last
  int threads = 0;                               ///< 0: one per core
};

/// --dataset, --size, --labels, --draws and the base model's flags; two of them have command-specific help
/// texts.
void add_study_data(CLI::App& command, StudyOptions& options, const std::string& size_help,
                    const std::string& draws_help);

/// --seed, --theta and --threads.
void add_study_run(CLI::App& command, StudyOptions& options);

/// `request`. Throws InputError if its path comes only from a rule from elsewhere, which does not choose what
/// is read here.
const data::DatasetRequest& trusted(const data::DatasetRequest& request, const EvaluatedRule& rule);

/// The datasets of the command line, or else those in the rule's configuration; each at every size. Throws
/// InputError if there is none, or if only a rule from elsewhere says which file or folder is read.
std::vector<data::DatasetRequest> evaluated_datasets(const StudyOptions& options, const EvaluatedRule& rule);

/// One line on stderr where the rule was trained on some of these classes of a dataset
/// (FewShotData::split_names).
void say_trained_classes(const data::DatasetRequest& request, const std::vector<std::string>& split_names,
                         const config::Settings& settings);

/// Opens one of them. If the rule was trained on some of its classes, prints their number in one line on
/// stderr.
evaluation::FewShotData open_study_data(const data::DatasetRequest& request,
                                        const config::Settings& settings);

/// Of these classes of an evaluated dataset (FewShotData::split_names), those that the rule was trained on.
std::vector<std::string> trained_classes(const data::DatasetRequest& request,
                                         const std::vector<std::string>& split_names,
                                         const config::Settings& settings);

/// The folder for figures of `input` where none is given: "figures" in the run that it is or lies in, else in
/// the working directory.
std::string figures_folder(const std::string& input);

/// Throws InputError for a method or read-out that does not exist.
evaluation::FewShotOptions few_shot_options(const StudyOptions& options, const config::Settings& settings);

}  // namespace outerloop::cli
