#pragma once
// Computes what each figure of `outerloop figure` shows, as the JSON that study_figures.h draws.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/support/evaluated_rule.h"
#include "cli/support/study.h"

namespace outerloop::cli {

struct FigureRequest {
  const EvaluatedRule& rule;
  const StudyOptions& study;                ///< with the number of draws filled in
  const std::vector<std::int64_t>& values;  ///< of what the figure varies; empty: its own
  const std::vector<std::string>& runs;     ///< what was given as RULE: `rule` is the last one's
};

struct FigureStudy {
  const char* name;
  const char* says;
  std::int64_t draws;  ///< by default: what takes minutes on two cores with a rule of laptop size
  nlohmann::json (*compute)(const FigureRequest&);
  bool several_runs = false;  ///< takes any number of run directories and rules
};

/// In the order of the help.
const std::vector<FigureStudy>& figure_studies();

/// Throws InputError that lists the names.
const FigureStudy& figure_study(const std::string& name);

}  // namespace outerloop::cli
