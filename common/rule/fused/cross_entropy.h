#pragma once
// Softmax cross-entropy of supervised_sgd, its gradient and its Hessian-vector product, by hand.
#include <Eigen/Core>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "common/rule/fused/supervised_sgd.h"
#include "common/rule/phi.h"

namespace outerloop::rule::fused {

/// Where the layer l = 0 .. L-1 begins in a flat φ of supervised_sgd; l = L: the size of φ.
std::int64_t layer_offset(const Architecture& architecture, std::int64_t layer);

/// One layer of φ or of a gradient by it: W [N_{l-1}, N_l] and b [N_l] lie one after the other, then the
/// momentum of both.
template <class Real>
struct SgdLayer {
  using Number = std::remove_const_t<Real>;
  template <class Dense>
  using Part = Eigen::Map<std::conditional_t<std::is_const_v<Real>, const Dense, Dense>>;
  using RowMajor = Eigen::Matrix<Number, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Column = Eigen::Matrix<Number, Eigen::Dynamic, 1>;

  SgdLayer(const Architecture& architecture, Real* phi, std::int64_t layer);

  Part<RowMajor> W;
  Part<Column> b;
  Part<Column> weights;   ///< W and b as one column
  Part<Column> momentum;  ///< of both
};

/// Mean cross-entropy of one labelled minibatch at one φ. Matrices are [units, examples].
template <class Real>
class CrossEntropy {
 public:
  CrossEntropy(const Architecture& architecture, const Real* phi, const LabelledExamples<Real>& data);

  double value() const;

  /// Writes ∂/∂(W, b) to `gradient`, laid out as φ; its momentum parts become zero.
  void gradient(Real* gradient);

  /// Adds ∂²/∂(W, b)² · (W, b of `direction`) to W and b of `product`, both laid out as φ.
  /// Forward-over-reverse (Pearlmutter 1994, "Fast exact multiplication by the Hessian").
  void add_hessian_product(const Real* direction, Real* product);

 private:
  using Matrix = typename SgdLayer<Real>::RowMajor;
  using Column = typename SgdLayer<Real>::Column;

  /// Of one hidden layer: y = Wᵀ x, u = (y − mean)·rstd, z = u + b, then f(z). A gradient is named after its
  /// variable; a leading r is the derivative along the direction.
  struct Hidden {
    Matrix u, z;
    Column rstd;
    Matrix dx, dz, dy;  ///< dx: by f(z)
    Matrix r_u, r_z, r_dz, r_dy;
    Column r_log_rstd;
  };

  SgdLayer<const Real> layer(std::int64_t l) const { return {architecture_, phi_, l}; }
  void backward();
  void forward_tangents(const Real* direction);
  void backward_tangents(const Matrix& r_dx, Hidden& h) const;

  const Architecture& architecture_;
  const Real* phi_;
  std::int64_t examples_;
  Eigen::Map<const Matrix> y_;
  std::vector<Hidden> hidden_;
  std::vector<Matrix> x_, r_x_;  ///< inputs of every layer
  Matrix log_softmax_, d_logits_, r_logits_;
};

}  // namespace outerloop::rule::fused
