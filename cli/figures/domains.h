#pragma once
// Accuracy on held-out data over meta-training, run beside run (the paper's Figures 3 and 4): whether a rule
// that trains for longer gets better on data of kinds that it was not trained on.
#include <nlohmann/json.hpp>
#include <string>

#include "cli/figures/studies.h"

namespace outerloop::cli {

/// The rule file of what is given as RULE: that of a run directory, or the file itself.
std::string rule_of_run(const std::string& run);

/// For each dataset the baselines, and for each of `request.runs` the accuracy of every θ that the run has
/// kept (checkpoint.theta_snapshots) and of its last; a rule file is one point. Datasets and base model are
/// those of the last run where no flag says otherwise. Throws InputError for a run directory without
/// snapshots.
nlohmann::json domains(const FigureRequest& request);

}  // namespace outerloop::cli
