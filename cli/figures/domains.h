#pragma once
// Accuracy on held-out data over meta-training, for several runs side by side (the paper's Figures 3 and 4):
// shows whether longer meta-training improves a rule on kinds of data that it was not trained on.
#include <nlohmann/json.hpp>
#include <string>

#include "cli/figures/studies.h"

namespace outerloop::cli {

/// The rule file for the argument RULE: that of a run directory, or the file itself.
std::string rule_of_run(const std::string& run);

/// For each dataset: the baselines, and for each of `request.runs` the accuracy of every θ that the run has
/// saved (checkpoint.theta_snapshots) and of the last one; a rule file is one point. Datasets and base model
/// are those of the last run, unless set by flags. Throws InputError for a run directory without snapshots.
nlohmann::json domains(const FigureRequest& request);

}  // namespace outerloop::cli
