#pragma once
// Draws the figures of a run for `outerloop plot`, each as PNG and SVG: learning curve, held-out curve,
// accuracy, norms of θ. All create `out_dir` and return the paths of the written files. They throw InputError
// that names file and position for unusable input, and Error where writing fails.
#include <string>
#include <vector>

namespace outerloop::cli {

/// metrics.jsonl → learning_curve.png and .svg: the meta-objective (every update, and smoothed), the
/// gradient's norm, and staleness if there is any, over updates; dashed lines mark resumes.
std::vector<std::string> draw_learning_curve(const std::string& metrics, const std::string& out_dir);

/// metrics.jsonl → held_out_curve.png and .svg: the meta-objective of every dataset that was evaluated during
/// the run, and few-shot accuracy if there is one, over updates, for training and held-out datasets; marks
/// the best validation (the paper's Figure 3). Draws nothing if the run was never evaluated.
std::vector<std::string> draw_held_out_curve(const std::string& metrics, const std::string& out_dir);

/// evaluate's JSON → accuracy.png and .svg: for each table a bar per method with its 95 % confidence
/// interval, by the ridge read-out if there is one.
std::vector<std::string> draw_accuracy(const std::string& evaluation, const std::string& out_dir);

/// rule.h5 or a checkpoint → theta_norms.png and .svg: the norm of each group of parameters.
std::vector<std::string> draw_theta_norms(const std::string& rule, const std::string& out_dir);

}  // namespace outerloop::cli
