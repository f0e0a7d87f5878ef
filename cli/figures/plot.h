#pragma once
#include <string>

namespace outerloop::cli {

/// outerloop plot: draws what `input` allows into `out_dir` (made where needed) and prints each file's path.
///   a run directory     its metrics.jsonl, and its evaluation.json where there is one
///   metrics.jsonl       the learning curve
///   evaluate's JSON     accuracy bars
///   a figure's JSON     the figure again
///   rule.h5, checkpoint norms of θ
/// Returns 0. Throws InputError that names what is missing or wrong.
int plot(const std::string& input, const std::string& out_dir);

}  // namespace outerloop::cli
