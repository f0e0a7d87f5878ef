#pragma once
// A trained base model for later use: φ, frozen batch-norm statistics, and the scaling of its inputs. The
// features of a row have the same bits whether it is computed alone or with others.
#include <cstdint>
#include <string>
#include <vector>

#include "common/rule/base_model.h"

namespace outerloop::rule {

/// How the numbers of a user's file become inputs, as plain numbers.
struct InputScaling {
  /// "linear", or one of inputs.scaling (data/scaling.h): columns, array, quantiles, ranks, none.
  std::string kind = "linear";
  std::int64_t columns = 0;
  /// linear: [2], low and high: (x - low) / (high - low). Others: see data/scaling.h.
  std::vector<double> numbers;
};

struct KeptModel {
  RuleOptions rule;
  Architecture architecture;
  std::vector<double> phi;  ///< phi_layout(rule, architecture)
  FrozenStatistics statistics;
  InputScaling scaling;
  std::vector<double> theta{};  ///< of a module alone, whose features may depend on it
};

/// Features of single rows, with weights prepared once. Several threads may call it at once.
class RowFeatures {
 public:
  /// Throws Error where the sizes of φ or statistics do not fit.
  RowFeatures(const RuleOptions& rule, const Architecture& architecture, const std::vector<double>& phi,
              const FrozenStatistics& statistics);

  std::int64_t outputs() const { return outputs_; }

  /// Rows first .. last - 1 of `inputs` [rows, N_0], scaled, to the same rows of `features` [rows,
  /// outputs()].
  void compute(const Matrix& inputs, std::int64_t first, std::int64_t last, Matrix& features) const;

 private:
  struct Layer {
    std::int64_t below = 0, units = 0;
    std::vector<float> W, b, mean, scale;  ///< W: [below, units]; scale: 1 / standard deviation
  };

  std::vector<Layer> layers_;
  Nonlinearity nonlinearity_;
  std::int64_t widest_ = 0, outputs_ = 0;
};

}  // namespace outerloop::rule
