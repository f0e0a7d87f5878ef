#pragma once
// Small multi-layer perceptrons with hand-written gradients, for the baselines that train one.
// Eigen rather than LibTorch: the networks are tiny (20,000 weights), only three kinds of layer and three
// losses need gradients, the baselines also work where LibTorch is not installed, and there is no library
// that takes seconds to load.
#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "common/evaluation/baselines/eigen.h"
#include "common/rule/phi.h"
#include "common/rule/random.h"

namespace outerloop::baselines {

/// x → relu(BN0(x W) + b), like the base model's layers, if `normalised`; else x → x W + b.
/// BN0: each unit minus its mean, over sqrt(its variance over the batch + 1e-6).
struct LayerShape {
  std::int64_t inputs = 0;
  std::int64_t outputs = 0;
  bool normalised = true;
  std::int64_t parameters() const { return (inputs + 1) * outputs; }
};

template <typename Real>
class Network {
 public:
  using Matrix = Rows<Real>;
  using Vector = Eigen::Matrix<Real, Eigen::Dynamic, 1>;

  explicit Network(std::vector<LayerShape> layers);

  /// Layer by layer W [inputs, outputs] row-major, then b [outputs].
  Vector& parameters() { return parameters_; }
  const Vector& parameters() const { return parameters_; }
  /// The gradient of the last backward(), laid out as the parameters.
  const Vector& gradient() const { return gradient_; }

  /// W normal with sigma sqrt(2 / inputs) (He et al. 2015), b zero. Element i of `random` is parameter i.
  void initialise(const rule::Random& random);

  /// The last layer's output for `x` [batch, inputs]; keeps the values that backward() needs.
  const Matrix& forward(const Matrix& x);
  /// Backpropagates the loss's gradient by the output of the last forward(). Returns the gradient by the
  /// input, or an empty matrix if `input_gradient` is false.
  Matrix backward(const Matrix& d_output, bool input_gradient);

 private:
  using MatrixMap = Eigen::Map<Matrix>;
  struct Kept {
    Matrix x;  ///< input
    Matrix y;  ///< normalised pre-activation, of normalised layers
    Eigen::Matrix<Real, 1, Eigen::Dynamic> rstd;
  };

  std::vector<LayerShape> layers_;
  std::vector<std::int64_t> offset_;
  Vector parameters_, gradient_;
  std::vector<Kept> kept_;
  Matrix output_;
};

extern template class Network<float>;
extern template class Network<double>;

/// Adam (Kingma and Ba 2015) with β = (0.9, 0.999) and ε = 1e-8.
class Adam {
 public:
  Adam(Eigen::Index parameters, float learning_rate);
  void step(Eigen::VectorXf& parameters, const Eigen::VectorXf& gradient);

 private:
  float learning_rate_;
  int step_ = 0;
  Eigen::VectorXf m_, v_;
};

/// The base model's layers 1 .. `layers` as normalised layers.
std::vector<LayerShape> encoder_layers(const rule::Architecture& architecture, std::int64_t layers);

/// W and b of a base model's φ as the first parameters of `network`, W rescaled as in He et al.: batch norm
/// removes the scale, so that the function stays the same, and steps of Adam have their usual relative size.
void set_encoder(const rule::RuleOptions& rule, const rule::Architecture& architecture,
                 const std::vector<double>& phi, std::int64_t layers, Network<float>& network);

/// φ of a base model of the first `layers` layers, from the network's first parameters; V is zero.
std::vector<double> encoder_phi(const rule::RuleOptions& rule, const rule::Architecture& architecture,
                                const Network<float>& network);

/// Rows of `x` drawn with replacement for training step `step`. Uses elements from 2^24 on, separate from
/// those that draw weights. Elements from 2^30 on are free for other uses in training.
Rows<float> minibatch(const rule::Matrix& x, std::int64_t batch, const rule::Random& random,
                      std::int64_t step);
constexpr std::uint32_t kFreeElements = 1u << 30;

}  // namespace outerloop::baselines
