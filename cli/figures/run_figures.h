#pragma once
// Draws the figures of a run for `outerloop plot`, each as PNG, SVG and PDF: learning curve, held-out curve,
// accuracy, norms of θ. All make `out_dir`, return the paths of what they wrote, and throw InputError that
// names file and place for what cannot be drawn from, Error where the disk refuses.
#include <string>
#include <vector>

namespace outerloop::cli {

/// metrics.jsonl → learning_curve.png, .svg and .pdf: the meta-objective (every update, and smoothed), the
/// gradient's norm, and staleness where there is any, over updates; dashed lines where a run was resumed.
std::vector<std::string> draw_learning_curve(const std::string& metrics, const std::string& out_dir);

/// A run in a figure of several: its name in the legend, and its metrics.jsonl.
struct NamedMetrics {
  std::string name, metrics;
};

/// Several metrics.jsonl → learning_curves.png, .svg and .pdf: the smoothed meta-objective of each run over
/// updates, and a line for each dataset that was evaluated during the runs.
std::vector<std::string> draw_learning_curves(const std::vector<NamedMetrics>& runs,
                                              const std::string& out_dir);

/// metrics.jsonl → held_out_curve.png, .svg and .pdf: over updates, the meta-objective of every dataset that
/// was evaluated during the run, and few-shot accuracy if available; training datasets next to held-out ones,
/// and the update with the best validation (the paper's Figure 3). Nothing if the run was never evaluated.
std::vector<std::string> draw_held_out_curve(const std::string& metrics, const std::string& out_dir);

/// evaluate's JSON → accuracy.png, .svg and .pdf: for each table a bar per method with its 95 % interval, of
/// the ridge read-out where there is one.
std::vector<std::string> draw_accuracy(const std::string& evaluation, const std::string& out_dir);

/// rule.h5 or a checkpoint → theta_norms.png, .svg and .pdf: the norm of each group of parameters.
std::vector<std::string> draw_theta_norms(const std::string& rule, const std::string& out_dir);

}  // namespace outerloop::cli
