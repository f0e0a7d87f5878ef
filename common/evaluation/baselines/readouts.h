#pragma once
// Read-outs by name (ridge, logistic, nearest mean, 5 nearest neighbours): classifiers fitted to the features
// of a few labelled examples.
#include <cstdint>
#include <string>
#include <vector>

#include "common/rule/base_model.h"

namespace outerloop::baselines {

enum class Readout {
  ridge,         ///< ridge regression on one-hot targets (common/rule/readout.h)
  logistic,      ///< multinomial logistic regression (logistic.h)
  nearest_mean,  ///< nearest class mean (distances.h)
  knn5,          ///< majority of the 5 nearest labelled examples (distances.h)
};

const std::vector<Readout>& all_readouts();
std::string readout_name(Readout readout);
/// Throws InputError that lists the names.
Readout readout_of_name(const std::string& name);

/// The candidate regularisation strengths, selected on other draws: λ of ridge per example, the factor of
/// ½‖w‖² of logistic. A single entry, 0, for read-outs without regularisation.
const std::vector<double>& strengths(Readout readout);

/// Labelled features, [examples, features] and [examples].
struct Labelled {
  const rule::Matrix& x;
  const std::vector<std::int32_t>& labels;
};

/// The accuracy on `test` of the read-out fitted on `train`: one fraction per strength. Throws Error where
/// sizes do not fit or features are not finite.
std::vector<double> accuracies(Readout readout, const Labelled& train, const Labelled& test,
                               std::int64_t classes);

}  // namespace outerloop::baselines
