#pragma once
// Held-out evaluation during a run, set up from its configuration: for the coordinator, and for workers.
#include <memory>
#include <string>
#include <vector>

#include "common/config/settings.h"
#include "common/evaluation/evaluator.h"
#include "coordinator/evaluations.h"

namespace outerloop::cli {

/// The datasets of training, then those of evaluation, each with its role.
coordinator::EvaluationOptions evaluation_options(const config::Settings& settings);

/// e.g. "every 100 updates, 4 tasks each of glyphs (train), fashion_mnist (test)", or "never".
std::string evaluation_description(const config::Settings& settings);

/// Opens the datasets of evaluation; `training` has those of training already. Nothing where the run never
/// evaluates. What there is to say of them is added to `remarks`. Throws InputError. `engine` outlives the
/// result.
std::unique_ptr<evaluation::Evaluator> open_evaluator(const config::Settings& settings,
                                                      const data::TaskDistribution& training,
                                                      rule::Engine& engine,
                                                      std::vector<std::string>& remarks);

}  // namespace outerloop::cli
