#pragma once
// One draw of a few-shot evaluation: labelled set, initialisation of the base model, permutation of the
// inputs.
#include <cstdint>
#include <vector>

#include "common/evaluation/few_shot.h"
#include "common/rule/engine.h"
#include "common/rule/random.h"

namespace outerloop::evaluation {

struct Draw {
  std::uint32_t number = 0;
  std::vector<std::int32_t> permutation;  ///< the base model's input i is pixel permutation[i]
  std::vector<std::int32_t> labelled;     ///< rows of the training examples, class by class
  std::vector<std::int32_t> labels;       ///< of those
  std::vector<double> start;              ///< φ of the base model before training, on permuted inputs
};

/// Draws by number, from the seed of the evaluation.
class DrawSampler {
 public:
  /// All references must outlive the sampler.
  DrawSampler(rule::Engine& engine, const FewShotData& data, const FewShotOptions& options);

  const rule::Architecture& architecture() const { return architecture_; }

  Draw sample(std::uint32_t number) const;

  /// The unlabelled minibatches of inner steps first .. first + count - 1, permuted.
  std::vector<rule::Batch> minibatches(const Draw& draw, std::int64_t first, std::int64_t count) const;

  /// φ that computes on unpermuted pixels what `phi` computes on permuted ones. Only for rules with the
  /// built-in base model: a module may do anything with its inputs.
  std::vector<double> without_permutation(const Draw& draw, const std::vector<double>& phi) const;

  /// The rows as the base model sees them.
  rule::Matrix permuted(const Draw& draw, const rule::Matrix& x) const;

  /// The rule whose φ baselines that are networks start from: the evaluated one, or, where that is a module,
  /// neuron_local.
  const rule::RuleOptions& network_rule() const { return network_rule_; }
  /// That φ, for pixels in their own order: with the evaluated rule's own weights where it has such a base
  /// model.
  std::vector<double> network_start(const Draw& draw) const;

 private:
  rule::Engine& engine_;
  rule::RuleOptions network_rule_;
  const FewShotData& data_;
  const FewShotOptions& options_;
  rule::Architecture architecture_;
  std::vector<std::vector<std::int32_t>> rows_of_class_;
};

/// Rows of a matrix, in that order.
rule::Matrix rows_of(const rule::Matrix& from, const std::vector<std::int32_t>& rows);
std::vector<std::int32_t> labels_of(const std::vector<std::int32_t>& labels,
                                    const std::vector<std::int32_t>& rows);

}  // namespace outerloop::evaluation
