#pragma once
// Few-shot accuracy of a learned rule next to baselines: the table of `outerloop evaluate`. A draw = labelled
// set, initialisation of the base model, permutation of the inputs; every method gets the same draws.
// docs/evaluation.md defines each method and read-out.
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "common/evaluation/baselines/readouts.h"
#include "common/evaluation/few_shot_data.h"
#include "common/evaluation/rule_under_test.h"
#include "common/rule/engine.h"

namespace outerloop::evaluation {

/// All methods in the order of the table: rule untrained random pixels pca kmeans vae masked_contrastive
/// supervised.
const std::vector<std::string>& few_shot_methods();

struct FewShotOptions {
  std::int64_t labels_per_class = 10;
  std::int64_t draws = 50;
  std::int64_t selection_draws = 5;  ///< other draws, on which hyper-parameters are chosen
  std::int64_t inner_steps = 0;      ///< at least 1
  /// Numbers of steps, ascending from 1 on. If there are any, the methods that train without labels (rule,
  /// untrained, vae, masked_contrastive) have a row after each of them. Otherwise the rules have one after
  /// inner_steps, and the others after the best of their own numbers of steps.
  std::vector<std::int64_t> steps{};
  std::int64_t minibatch = 0;         ///< unlabelled examples of an inner step, at least 1
  std::int64_t test_examples = 5000;  ///< at most; the same ones for every draw
  std::vector<std::int64_t> hidden;   ///< the same base model for all methods
  rule::Nonlinearity nonlinearity = rule::Nonlinearity::relu;
  bool permute = true;                                    ///< each draw permutes the inputs
  std::vector<std::string> methods = few_shot_methods();  ///< `random` among them, for the differences
  std::vector<baselines::Readout> readouts = baselines::all_readouts();
  std::uint64_t seed = 0;
  int threads = 1;         ///< blocks of draws computed at once, each by its own engine
  std::int64_t lanes = 1;  ///< draws of a block: a rule trains their base models in one call of the engine
  /// The number of training images, the first ones, for batch norm's frozen statistics; 0: all.
  std::int64_t statistics_examples = 0;
  float vae_learning_rate = 3e-3f;
};

struct FewShotRow {
  std::string method;
  std::string readout;
  std::string setting;    ///< of the method, selected on other draws, e.g. "300 steps"; empty: none
  double lambda = 0.0;    ///< of the read-out, selected on other draws; 0: none
  double accuracy = 0.0;  ///< a fraction, mean over draws
  double ci95 = 0.0;      ///< half-width of the 95 % interval over draws
  double minus_random = 0.0;
  double minus_random_ci95 = 0.0;  ///< of the paired difference
  /// The rule's accuracy by this read-out minus this one, paired; NaN: no rule, or one with rows by steps.
  double rule_minus = std::numeric_limits<double>::quiet_NaN();
  double rule_minus_ci95 = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> by_draw;  ///< accuracy in each draw
  std::int64_t steps = 0;       ///< of training, with FewShotOptions::steps; else 0
  /// Mean over draws of a VAE's loss, in nats per example, over at most its last 100 steps; NaN: none.
  double loss = std::numeric_limits<double>::quiet_NaN();
  double loss_ci95 = 0.0;
};

struct FewShotTable {
  std::string dataset;
  std::int64_t size = 0;
  std::int64_t labels_per_class = 0;
  std::string base_model;
  std::int64_t inner_steps = 0;
  std::int64_t minibatch = 0;  ///< unlabelled examples per inner step
  std::int64_t draws = 0;
  std::int64_t unlabelled = 0;  ///< training images that every method may use
  std::int64_t tested = 0;
  std::vector<FewShotRow> rows;  ///< grouped by method, then read-out, then steps
  std::int64_t groups = 1;       ///< of the dataset, over which this is the mean
};

/// Called with the number of draws done and the number of all draws.
using DrawProgress = std::function<void(std::int64_t, std::int64_t)>;

/// If the data has `others`, the table is the mean over all groups (mean_table in few_shot_rows.h), with
/// settings selected for each. Throws InputError if the data has too few labelled examples, Error if a base
/// model does not stay finite.
FewShotTable evaluate_few_shot(const RuleUnderTest& rule, const FewShotData& data,
                               const FewShotOptions& options, const DrawProgress& progress);

}  // namespace outerloop::evaluation
