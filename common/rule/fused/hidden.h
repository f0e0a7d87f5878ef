#pragma once
// The hidden state of every neuron of one layer, h^l, its readouts and δ^l, and the adjoint of them all
// (docs/update-rule.md, §3.2 and §3.3).
#include <vector>

#include "common/rule/fused/kernels.h"
#include "common/rule/fused/parameters.h"

namespace outerloop::rule::fused {

/// One layer's part in a step.
struct HiddenSize {
  std::int64_t units = 0, batch = 0;
  Position position = Position::middle;
};

/// Values that one pass keeps for the backward pass and for the weight change.
template <class Real>
struct HiddenKept {
  Real* f = nullptr;            ///< [units, B, padded D + 2]: d, x, z
  Real* inverse_rms = nullptr;  ///< [units, B]; null at the top, where d is not normalised
  Norm<Real> norm_f;
  std::vector<Real*> z;  ///< of the three convolutions of each block [units, B, padded C]
  std::vector<Norm<Real>> norm;
  Real* constants = nullptr;  ///< [units, kConstantChannels]
  Real* planes = nullptr;     ///< [readouts, units, B · G]
  Real* means = nullptr;      ///< [units, padded C]: of h over the batch
  Real* error = nullptr;      ///< δ^l [units, B, D]; null at the bottom

  static HiddenKept take(Arena<Real>& arena, const Parameters<Real>& parameters, const HiddenSize& size);
};

/// Gradients that reach a layer from the weight changes and from the layer below.
template <class Real>
struct HiddenGradient {
  const Real* planes = nullptr;  ///< as HiddenKept::planes
  const Real* means = nullptr;   ///< [units, padded C], divided by B; null at the bottom
  const Real* error = nullptr;   ///< ∂/∂δ^l [units, B, D]; null at the bottom
  Real* d = nullptr;             ///< out: ∂/∂d before its normalisation [units, B, d_row]
  std::int64_t d_row = 0;
  Real* x = nullptr;          ///< [units, B], added to; null at the bottom
  Real* z = nullptr;          ///< [units, B], added to; null at the bottom
  Real* constants = nullptr;  ///< out: [units, kConstantChannels]
};

template <class Real>
class HiddenNetwork {
 public:
  HiddenNetwork(const Kernels<Real>& kernels, Parameters<Real>& parameters, Shared<Real>& shared)
      : kernels_(kernels), parameters_(parameters), shared_(shared) {}

  std::int64_t workspace_numbers(const HiddenSize& size) const;
  std::int64_t kernel_numbers(const HiddenSize& size) const;  ///< of Shared::kernel, per thread

  /// Fills `kept` (whose constants are already set) from x, z [units, B] and d [units, B, d_row].
  void forward(const HiddenSize& size, const Real* x, const Real* z, const Real* d, std::int64_t d_row,
               const HiddenKept<Real>& kept, Real* workspace) const;

  void backward(const HiddenSize& size, const Real* z, const HiddenKept<Real>& kept,
                const HiddenGradient<Real>& gradient, Real* workspace) const;

 private:
  std::int64_t channels() const { return parameters_.size().hidden_channels; }
  std::int64_t padded() const { return parameters_.hidden.front().in.padded; }
  std::int64_t padded_features() const { return static_cast<std::int64_t>(parameters_.features_beta.size()); }
  Convolution<Real>& convolution(std::size_t i) const;
  Source<Real> source(std::size_t i, const HiddenKept<Real>& kept) const;
  void convolve(const HiddenSize& size, std::size_t i, const HiddenKept<Real>& kept,
                const Real* per_unit) const;
  std::int64_t line_numbers(const HiddenSize& size) const;
  template <class Pass, class F>
  void for_each_line(const Pass& pass, const F& f) const;
  void read(const HiddenSize& size, const Real* z, const HiddenKept<Real>& kept, Real* lines) const;
  void read_backward(const HiddenSize& size, const HiddenKept<Real>& kept,
                     const HiddenGradient<Real>& gradient, Real* lines, Real* g) const;
  void convolve_backward(const HiddenSize& size, std::size_t i, const HiddenKept<Real>& kept, const Real* g,
                         Real* d_input, const Real* skip, Real* per_unit) const;
  void constants_backward(const HiddenSize& size, const HiddenKept<Real>& kept, const Real* per_unit,
                          Real* d_weights, Real* d_constants) const;

  const Kernels<Real>& kernels_;
  Parameters<Real>& parameters_;
  Shared<Real>& shared_;
};

}  // namespace outerloop::rule::fused
