#pragma once
// The error signal at the top, d^L (docs/update-rule.md, §3.1), and its adjoint.
#include <vector>

#include "common/rule/fused/kernels.h"
#include "common/rule/fused/parameters.h"

namespace outerloop::rule::fused {

/// Values that one pass keeps for the backward pass.
template <class Real>
struct TopKept {
  Real* z_in = nullptr;  ///< [N_L, B, padded T]
  Norm<Real> norm_in;
  Real* z_mix[2] = {};     ///< [N_L, B, padded T]
  Norm<Real> norm_mix[2];  ///< [N_L] each
  std::vector<Real*> z_blocks;
  std::vector<Norm<Real>> norm_blocks;

  static TopKept take(Arena<Real>& arena, const Parameters<Real>& parameters, std::int64_t batch);
};

template <class Real>
class TopNetwork {
 public:
  TopNetwork(const Kernels<Real>& kernels, Parameters<Real>& parameters, Shared<Real>& shared)
      : kernels_(kernels), parameters_(parameters), shared_(shared) {}

  std::int64_t workspace_numbers(std::int64_t batch) const;
  std::int64_t kernel_numbers(std::int64_t batch) const;  ///< of Shared::kernel, per thread

  /// d [N_L, B, padded D] from x^L [N_L, B].
  void forward(std::int64_t batch, const Real* x, const TopKept<Real>& kept, Real* d, Real* workspace) const;

  /// Adds to d_x [N_L, B] and to the gradients of the parameters. `d_d` has the layout of d and is zero
  /// beyond D.
  void backward(std::int64_t batch, const Real* x, const TopKept<Real>& kept, const Real* d_d, Real* d_x,
                Real* workspace) const;

 private:
  struct Sizes {
    std::int64_t units, batch, channels, padded, row, edged;
  };
  Sizes sizes(std::int64_t batch) const;
  void mix(const Sizes& s, int i, const TopKept<Real>& kept, const Real* a) const;
  void normalise_mix(const Sizes& s, int i, const TopKept<Real>& kept, Real* a) const;
  void mix_backward(const Sizes& s, int i, const Real* a, const Real* d_z, Real* d_a, Real* d_w) const;
  Source<Real> features_as_channel(const Real* x) const;
  Source<Real> input_of_block(const Sizes& s, std::size_t i, const TopKept<Real>& kept, const Real* a) const;
  void blocks_backward(const Sizes& s, const TopKept<Real>& kept, const Real* a, const Real* d_d,
                       Real* g) const;

  const Kernels<Real>& kernels_;
  Parameters<Real>& parameters_;
  Shared<Real>& shared_;
};

}  // namespace outerloop::rule::fused
