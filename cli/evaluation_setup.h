#pragma once
// Set-up of held-out evaluation during a run from its configuration, for the coordinator and for workers.
#include <memory>
#include <string>
#include <vector>

#include "common/config/settings.h"
#include "common/evaluation/evaluator.h"
#include "coordinator/evaluations.h"

namespace outerloop::cli {

/// The training datasets, then those of evaluation, each with its role.
coordinator::EvaluationOptions evaluation_options(const config::Settings& settings);

/// e.g. "every 100 updates, 4 tasks each of glyphs (train), fashion_mnist (test)", or "never".
std::string evaluation_description(const config::Settings& settings);

/// Opens the evaluation datasets; `training` already holds those of training. Null if the run never
/// evaluates. Appends remarks about the data to `remarks`. Throws InputError. `engine` must outlive the
/// result.
std::unique_ptr<evaluation::Evaluator> open_evaluator(const config::Settings& settings,
                                                      const data::TaskDistribution& training,
                                                      rule::Engine& engine,
                                                      std::vector<std::string>& remarks);

}  // namespace outerloop::cli
