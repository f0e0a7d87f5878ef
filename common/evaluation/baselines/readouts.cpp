#include "common/evaluation/baselines/readouts.h"

#include "common/base/error.h"
#include "common/evaluation/baselines/distances.h"
#include "common/evaluation/baselines/logistic.h"
#include "common/rule/readout.h"

namespace outerloop::baselines {

const std::vector<Readout>& all_readouts() {
  static const std::vector<Readout> readouts = {Readout::ridge, Readout::logistic, Readout::nearest_mean,
                                                Readout::knn5};
  return readouts;
}

std::string readout_name(Readout readout) {
  switch (readout) {
    case Readout::ridge:
      return "ridge";
    case Readout::logistic:
      return "logistic";
    case Readout::nearest_mean:
      return "nearest_mean";
    case Readout::knn5:
      return "knn5";
  }
  throw Error("read-out: unknown number " + std::to_string(static_cast<int>(readout)));
}

Readout readout_of_name(const std::string& name) {
  std::string names;
  for (const auto readout : all_readouts()) {
    if (readout_name(readout) == name) return readout;
    names += (names.empty() ? "" : ", ") + readout_name(readout);
  }
  throw InputError("--readouts: there is no read-out '" + name + "'; there are " + names);
}

const std::vector<double>& strengths(Readout readout) {
  static const std::vector<double> none = {0.0};
  static const std::vector<double> ridge = {1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0};
  static const std::vector<double> logistic = {1e-3, 1e-2, 1e-1, 1.0, 10.0};
  if (readout == Readout::ridge) return ridge;
  return readout == Readout::logistic ? logistic : none;
}

std::vector<double> accuracies(Readout readout, const Labelled& train, const Labelled& test,
                               std::int64_t classes) {
  const auto predict = [&](double strength) {
    switch (readout) {
      case Readout::ridge:
        return rule::RidgeClassifier(train.x, train.labels, classes, strength).predict(test.x);
      case Readout::logistic:
        return LogisticClassifier(train.x, train.labels, classes, strength).predict(test.x);
      case Readout::nearest_mean:
        return nearest_mean(train.x, train.labels, classes, test.x);
      case Readout::knn5:
        return nearest_neighbours(train.x, train.labels, classes, test.x, 5);
    }
    throw Error("read-out: unknown number " + std::to_string(static_cast<int>(readout)));
  };
  std::vector<double> result;
  for (const double strength : strengths(readout))
    result.push_back(rule::accuracy(predict(strength), test.labels));
  return result;
}

}  // namespace outerloop::baselines
