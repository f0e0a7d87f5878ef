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
  DrawSampler(const rule::RuleOptions& rule, const FewShotData& data, const FewShotOptions& options);

  const rule::Architecture& architecture() const { return architecture_; }

  Draw sample(std::uint32_t number) const;

  /// The unlabelled minibatches of inner steps first .. first + count - 1, permuted.
  std::vector<rule::Batch> minibatches(const Draw& draw, std::int64_t first, std::int64_t count) const;

  /// φ that computes on unpermuted pixels what `phi` computes on permuted ones.
  std::vector<double> without_permutation(const Draw& draw, const std::vector<double>& phi) const;

 private:
  const rule::RuleOptions& rule_;
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
