#pragma once
// Golden files of the neuron-local rule: each file is one case with its inputs and expected results. See
// tests/golden/README.md.
#include <string>
#include <vector>

#include "common/rule/engine.h"
#include "tests/rule/hdf5_file.h"

namespace outerloop::tests {

struct GoldenCase {
  rule::RuleOptions rule;
  rule::Architecture architecture;
  std::vector<double> theta, phi;
  std::vector<rule::StepData>
      steps;  ///< one per inner step; the labelled minibatches are the same in all of them
};

/// The .h5 files in the folder that OUTERLOOP_GOLDEN_DIR names, else in tests/golden, by name.
std::vector<std::string> golden_paths();

/// Sizes come from the file's /config.
GoldenCase read_golden(const Hdf5File& file);

/// max |ours - golden| / max |golden|; infinite if the sizes differ or a number is not finite. `scale`
/// replaces max |golden| if given. Only every stride-th entry of our first axis is compared.
double relative_error(const std::vector<double>& ours, const Hdf5Dataset& golden, double scale = 0.0);

double largest(const std::vector<double>& values);

}  // namespace outerloop::tests
