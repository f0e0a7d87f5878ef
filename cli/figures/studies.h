#pragma once
// Computes the data of each figure of `outerloop figure`, as the JSON that study_figures.h draws.
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
  const std::vector<std::int64_t>& values;  ///< values of the varied quantity; empty: the default
  const std::vector<std::string>& runs;     ///< the arguments RULE; `rule` belongs to the last one
};

struct FigureStudy {
  const char* name;
  const char* says;
  std::int64_t draws;  ///< default: takes minutes on two cores with a rule of laptop size
  nlohmann::json (*compute)(const FigureRequest&);
  bool several_runs = false;    ///< takes any number of run directories and rules
  bool supervised_too = false;  ///< takes rules that train on labels, too
};

/// In the order of the help text.
const std::vector<FigureStudy>& figure_studies();

/// Throws InputError that lists the names.
const FigureStudy& figure_study(const std::string& name);

}  // namespace outerloop::cli
