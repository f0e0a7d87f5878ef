#pragma once
// The unsupervised update rule of Metz et al. (ICLR 2019) in differentiable tensors: docs/update-rule.md,
// §3. Hidden states live on the grid [units, batch, channels].
#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <vector>

#include "common/rule/layout.h"
#include "common/rule/reference/blocks.h"
#include "common/rule/reference/export.h"
#include "common/rule/reference/forward.h"
#include "common/rule/reference/reductions.h"
#include "common/rule/reference/weight_change.h"
#include "common/rule/theta.h"

namespace outerloop::rule::reference {

/// Everything on the way of one inner step, for tests. Index l as in the document; missing entries are
/// undefined.
struct StepTrace {
  Forward forward;
  std::vector<Tensor> d;        ///< [l = 0..L]: [N_l, B, D]
  std::vector<Tensor> delta;    ///< [l = 0..L], from 1: [N_l, B, D]
  std::vector<Tensor> h;        ///< [l = 0..L]: [N_l, B, C]
  std::vector<Tensor> terms;    ///< [l = 0..L], from 1: [12, N_{l-1}, N_l]
  std::vector<Tensor> delta_W;  ///< [l = 0..L], from 1: [N_{l-1}, N_l]
  std::vector<Tensor> delta_V;
  std::vector<Tensor> delta_b;  ///< [N_l]
};

/// The rule with one θ. Weights are regrouped once, when it is made; the graph of later steps hangs on θ's
/// tensors.
class OUTERLOOP_REFERENCE_API NeuronLocal {
 public:
  /// `theta`: one tensor per entry of `layout`, in its order and shapes.
  NeuronLocal(const NeuronLocalSize& size, const Layout& layout, const std::vector<Tensor>& theta);

  /// φ after one inner step on x [N_0, B].
  Phi step(const Phi& phi, const Tensor& x, Nonlinearity kind, StepTrace* trace = nullptr) const;

 private:
  struct HiddenBlock {
    ConvolutionBlock in, unit0, unit1;
  };
  struct ReadoutWeights {
    Tensor w;     ///< [readouts * G (+ 1 row of bias.w), C]
    Tensor bias;  ///< [readouts * G]
  };
  struct LayerReadouts {
    Tensor upper, lower;                    ///< of W
    Tensor backward_upper, backward_lower;  ///< of V, where it has its own
    Tensor bias_mean;                       ///< [N_l]: mean over the batch of bias.w h
  };

  Tensor top_error(const Tensor& features) const;
  Tensor hidden_state(const Phi& phi, std::int64_t l, const Tensor& x, const Tensor& z,
                      const Tensor& d) const;
  LayerReadouts read_layer(const Tensor& h, bool upper, bool lower) const;
  Tensor bias_change(const Tensor& mean) const;
  /// BN of (sin id, cos id) without its offset, for a layer of that width: [units, 2].
  const Tensor& identity(std::int64_t units, const at::TensorOptions& options) const;

  NeuronLocalSize size_;
  ConvolutionBlock top_in_, top_mix_[2];
  std::vector<ConvolutionBlock> top_blocks_;
  Tensor top_out_w_, top_out_b_;
  Tensor beta_varying_;   ///< hidden.features.beta of x, z, d
  Tensor beta_identity_;  ///< of sin, cos
  Tensor in_constant_;    ///< [11, 3 C]: hidden.in.w of the channels that are constant along the batch: s, b,
                          ///< sin, cos
  std::vector<HiddenBlock> hidden_;  ///< the first one's `in` takes x, z, d only
  Tensor delta_w_, delta_b_;
  ReadoutWeights read_upper_, read_lower_, read_both_;
  Tensor bias_b_;
  Merge merge_, backward_merge_;
  mutable std::map<std::int64_t, Tensor> identities_;
};

}  // namespace outerloop::rule::reference
