#pragma once
// θ of the neuron-local rule, packed for the kernels, and its gradient as the kernels write it.
#include <cstdint>
#include <string>
#include <vector>

#include "common/rule/fused/convolution.h"
#include "common/rule/fused/weight_change.h"
#include "common/rule/theta.h"

namespace outerloop::rule::fused {

/// Channels of hidden.in that do not change along the batch: 8 statistics of weights, b, sin, cos.
inline constexpr std::int64_t kConstantChannels = 11;

/// Weights of one convolution, packed for both directions, with its bias or batch norm; and their gradients.
template <class Real>
struct Convolution {
  std::int64_t taps = 0, inputs = 0, outputs = 0, padded = 0;  ///< padded: of the outputs
  std::vector<Real> natural;                                   ///< [taps, inputs, outputs]
  std::vector<Real> packed, transposed;
  std::vector<Real> bias, beta;                 ///< [padded]; bias is zero in front of a batch norm
  std::vector<double> d_total, d_bias, d_beta;  ///< [taps, inputs, padded], [padded], [padded]

  Convolution() = default;
  Convolution(std::int64_t taps, std::int64_t inputs, std::int64_t outputs, std::int64_t lanes);
  void pack(std::int64_t lanes);
  void clear_gradient();
};

/// A backward pass over all lines through these weights. The caller fills in its inputs and the outputs other
/// than the gradient by the weights.
template <class Real>
BackwardPass<Real> backward_pass(Convolution<Real>& convolution, std::int64_t units, std::int64_t batch) {
  BackwardPass<Real> pass;
  pass.taps = convolution.taps;
  pass.units = pass.last = units;
  pass.batch = batch;
  pass.g_unit = batch * convolution.padded;
  pass.channels = convolution.outputs;
  pass.outputs = convolution.padded;
  pass.d_weights_total = convolution.d_total.data();
  pass.transposed = convolution.transposed.data();
  return pass;
}

/// The mixing of units in the top network: its channels are the N_L units.
template <class Real>
struct UnitMix {
  std::vector<Real> w;     ///< [3, N_L, N_L]
  std::vector<Real> beta;  ///< [N_L]
  std::vector<double> d_w, d_beta;
};

template <class Real>
struct HiddenBlock {
  Convolution<Real> in, unit0, unit1;  ///< `in` of the first block reads the features only
};

/// Which readouts a layer needs.
enum class Position { bottom, middle, top };

/// Positions of a layer's readouts among the columns of their product, in units of G columns.
struct ReadoutColumns {
  int upper = -1;  ///< first of the kUpperReadouts, or -1
  int lower = -1;
  int backward_upper = -1;  ///< of separate_backward_readouts
  int backward_lower = -1;
  int planes = 0;      ///< readouts in all
  bool delta = false;  ///< the D columns of the error signal follow
};

template <class Real>
class Parameters {
 public:
  Parameters(const NeuronLocalSize& size, const Layout& layout, std::int64_t lanes);

  /// Packs θ.
  void load(const std::vector<double>& theta);
  void clear_gradient();
  /// Unpacks ∂/∂θ, laid out as θ; exactly zero for the tensors that the layout marks so.
  std::vector<double> gradient() const;

  const NeuronLocalSize& size() const { return size_; }
  std::int64_t lanes() const { return lanes_; }
  std::int64_t most_weights();  ///< [taps, inputs, padded] of the largest convolution
  ReadoutColumns columns(Position position) const;
  Convolution<Real>& readouts(Position position) { return readouts_[static_cast<std::size_t>(position)]; }

  Convolution<Real> top_in, top_out;
  UnitMix<Real> top_mix[2];
  std::vector<Convolution<Real>> top_blocks;
  std::vector<HiddenBlock<Real>> hidden;
  std::vector<Real> features_beta;  ///< [D + 2 padded] of d, x, z
  std::vector<double> d_features_beta;
  Real identity_beta[2] = {};  ///< of sin, cos
  double d_identity_beta[2] = {};
  std::vector<Real> constant_weights;  ///< [kConstantChannels, 3 · padded C]
  std::vector<double> d_constant_weights;
  std::vector<Real> bias_w;  ///< [padded C]
  Real bias_b = 0;
  std::vector<double> d_bias_w;
  double d_bias_b = 0;
  std::vector<Real> merge_w[2];  ///< [12]; [1] of separate_backward_readouts
  Real merge_b[2] = {};
  std::vector<double> d_merge_w[2];
  double d_merge_b[2] = {};

 private:
  /// A tensor of θ that is part of a convolution's weights: θ's input `inputs[i]` is the convolution's input
  /// i, and its columns begin at `column`.
  struct Piece {
    std::string name;
    Convolution<Real>* convolution;
    std::vector<std::int64_t> inputs;
    std::int64_t column;
    bool bias, beta;
  };

  void add_piece(const std::string& name, Convolution<Real>* convolution, bool bias, bool beta);
  void add_readouts(Position position);
  void load_piece(const Piece& piece, const std::vector<double>& theta) const;
  void export_piece(const Piece& piece, std::vector<double>& d_theta) const;
  template <class F>
  void for_plain(const F& f);
  std::vector<Convolution<Real>*> convolutions();

  NeuronLocalSize size_;
  Layout layout_;
  std::int64_t lanes_;
  Convolution<Real> readouts_[3];
  std::vector<Piece> pieces_;
};

}  // namespace outerloop::rule::fused
