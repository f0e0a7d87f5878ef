#pragma once
// The methods of a few-shot evaluation (the rule and its baselines): features of a draw's examples by each.
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "common/evaluation/few_shot_draw.h"
#include "common/rule/engine.h"

namespace outerloop::evaluation {

/// Results that do not depend on the draw, computed once for all threads.
struct FewShotPreparation {
  std::vector<std::int32_t> test_rows;
  std::vector<std::int32_t> test_labels;
  rule::Matrix test;                       ///< [test examples, inputs]
  rule::Matrix pca_train, pca_test;        ///< in principal components of all training images
  rule::Matrix kmeans_train, kmeans_test;  ///< contrast-normalised and whitened
  rule::Matrix statistics;                 ///< examples for batch norm's frozen statistics; empty: all
};
FewShotPreparation prepare_few_shot(const FewShotData& data, const FewShotOptions& options);

/// Features of a draw's labelled examples and of the test examples.
struct DrawFeatures {
  rule::Matrix labelled;
  rule::Matrix test;
  double loss = std::numeric_limits<double>::quiet_NaN();  ///< of a VAE; NaN for other methods
};

/// Of draws[d].
using TakeFeatures = std::function<void(std::size_t d, const std::vector<DrawFeatures>& features)>;

struct Method {
  std::string name;
  /// Names of the settings to select from, besides the read-out's strength; a single empty string if there
  /// are none.
  std::vector<std::string> settings;
  /// Calls `take` for each draw in turn, with its features for each of the `wanted` settings (ascending
  /// indices into the list above).
  std::function<void(const std::vector<Draw>& draws, const std::vector<std::size_t>& wanted,
                     const TakeFeatures& take)>
      features;
  /// If not empty: the settings are these numbers of steps, and all are reported, not only the best.
  std::vector<std::int64_t> steps{};
};

/// The methods of one thread: those that options.methods names.
class MethodSet {
 public:
  /// All references must outlive the set. `engine`: made by `rule` for this set only.
  MethodSet(rule::Engine& engine, const RuleUnderTest& rule, const FewShotData& data,
            const FewShotOptions& options, const FewShotPreparation& prepared);
  MethodSet(const MethodSet&) = delete;
  MethodSet& operator=(const MethodSet&) = delete;

  const DrawSampler& draws() const { return draws_; }
  const std::vector<Method>& methods() const { return methods_; }

  /// Calls look(d, φ of the base model of draws[d]) for each draw after each of `steps` (rising) inner steps
  /// of a rule, on the draw's permuted inputs. The engine computes all draws together. Throws Error where φ
  /// does not stay finite.
  void train(const std::vector<double>& theta, const std::vector<Draw>& draws,
             const std::vector<std::int64_t>& steps,
             const std::function<void(std::size_t d, const std::vector<double>& phi)>& look) const;

  /// Features of each of `x` by the base model `phi` of the rule θ, which takes permuted inputs; `x` are as
  /// in the data.
  std::vector<rule::Matrix> features(const std::vector<double>& theta, const Draw& draw,
                                     const std::vector<double>& phi,
                                     const std::vector<const rule::Matrix*>& x) const;

 private:
  Method method(const std::string& name) const;
  std::vector<std::vector<double>> unroll(const std::vector<double>& theta, const std::vector<Draw>& draws,
                                          const std::vector<std::vector<double>>& phi, std::int64_t first,
                                          std::int64_t count) const;
  DrawFeatures base_model_features(const std::vector<double>& theta, const Draw& draw,
                                   const std::vector<double>& phi) const;
  std::vector<rule::Matrix> module_features(const std::vector<double>& theta, const Draw& draw,
                                            const std::vector<double>& phi,
                                            const std::vector<const rule::Matrix*>& x) const;
  const rule::Matrix& statistics_rows() const;
  Method trained_by(const std::string& name, const std::vector<double>& theta) const;
  DrawFeatures fixed_features(const Draw& draw, const rule::Matrix& train, const rule::Matrix& test) const;
  DrawFeatures kmeans_features(const Draw& draw) const;
  Method trained_without_labels(const std::string& name, std::uint32_t stream,
                                const std::vector<std::int64_t>& own_steps) const;
  Method supervised() const;

  rule::Engine& engine_;
  const RuleUnderTest& rule_;
  const FewShotData& data_;
  const FewShotOptions& options_;
  const FewShotPreparation& prepared_;
  DrawSampler draws_;
  std::vector<Method> methods_;
};

}  // namespace outerloop::evaluation
