#pragma once
// Few-shot accuracy of base models that a rule has trained without labels, beside those that it has not: what
// `outerloop evaluate` prints. A draw = labelled set, initialisation of the base model, permutation of the
// inputs; every method gets the same draws.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/data/dataset.h"
#include "common/rule/base_model.h"
#include "common/rule/engine.h"

namespace outerloop::worker {

struct FewShotOptions {
  std::int64_t labels_per_class = 10;
  std::int64_t draws = 50;
  std::int64_t selection_draws = 5;  ///< other draws, on which each method's λ is chosen
  std::int64_t inner_steps = 100;
  std::int64_t minibatch = 64;
  std::int64_t test_examples = 5000;  ///< at most; the same ones for every draw
  std::vector<std::int64_t> hidden = {64,
                                      64};  ///< one fixed base model, so that no gain comes from a weak start
  std::uint64_t seed = 0;
  int threads = 1;  ///< draws that are computed at once, each by an engine of its own
};

/// Unlabelled and labelled examples come from `train`, accuracy is measured on `test`.
struct FewShotData {
  std::string name;
  std::int64_t size = 0;  ///< side of the images
  rule::Matrix train;     ///< [examples, inputs], in [0, 1]
  std::vector<std::int32_t> train_labels;
  rule::Matrix test;
  std::vector<std::int32_t> test_labels;
  std::int64_t classes = 0;
};

/// Opens a dataset in its two parts; one without parts (glyphs, crops) is split example by example, in turn.
FewShotData open_few_shot_data(const data::DatasetRequest& request, const std::string& cache_directory);

struct FewShotRow {
  std::string method;   ///< rule | untrained | random | pixels
  std::string readout;  ///< ridge
  double lambda = 0.0;  ///< of the read-out, chosen on other draws
  double accuracy = 0.0;
  double ci95 = 0.0;  ///< half-width of the 95 % interval over draws
  double minus_random = 0.0;
  double minus_random_ci95 = 0.0;  ///< of the paired difference
};

struct FewShotTable {
  std::string dataset;
  std::int64_t size = 0;
  std::int64_t labels_per_class = 0;
  std::string base_model;
  std::int64_t inner_steps = 0;
  std::int64_t draws = 0;
  std::vector<FewShotRow> rows;
};

using EngineFactory = std::function<std::unique_ptr<rule::Engine>()>;

/// `theta` is the learned rule, `untrained` the same rule before meta-training. `progress` hears draws done
/// and to do. Throws InputError where the data has too few labelled examples, Error where a base model does
/// not stay finite.
FewShotTable evaluate_few_shot(const EngineFactory& make_engine, const std::vector<double>& theta,
                               const std::vector<double>& untrained, const FewShotData& data,
                               const FewShotOptions& options,
                               const std::function<void(std::int64_t, std::int64_t)>& progress);

}  // namespace outerloop::worker
