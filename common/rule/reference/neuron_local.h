#pragma once
// The unsupervised update rule of Metz et al. (ICLR 2019) in differentiable tensors: docs/update-rule.md,
// §3. Hidden states live on the grid [lanes, units, batch, channels]; a lane is one of S tasks side by side.
#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <vector>

#include "common/rule/layout.h"
#include "common/rule/reference/export.h"
#include "common/rule/reference/forward.h"
#include "common/rule/reference/layer_stack.h"
#include "common/rule/reference/networks.h"
#include "common/rule/reference/packed_theta.h"
#include "common/rule/reference/reductions.h"
#include "common/rule/reference/weight_change.h"
#include "common/rule/theta.h"

namespace outerloop::rule::reference {

/// Intermediate results of one inner step, for tests. Index l as in docs/update-rule.md; missing entries are
/// undefined.
struct StepTrace {
  Forward forward;
  std::vector<Tensor> d;        ///< [l = 0..L]: [S, N_l, B, D]
  std::vector<Tensor> delta;    ///< [l = 0..L], from 1: [S, N_l, B, D]
  std::vector<Tensor> h;        ///< [l = 0..L]: [S, N_l, B, C]
  std::vector<Tensor> terms;    ///< [l = 0..L], from 1: [12, S, N_{l-1}, N_l], in kMergeOrder
  std::vector<Tensor> delta_W;  ///< [l = 0..L], from 1: [S, N_{l-1}, N_l]
  std::vector<Tensor> delta_V;
  std::vector<Tensor> delta_b;  ///< [S, N_l]
};

/// The rule with one θ. Must outlive the graphs of its steps.
class OUTERLOOP_REFERENCE_API NeuronLocal {
 public:
  /// `groups`: PackedTheta::split of θ [S, numbers], the same in all lanes; the graphs of all steps lead to
  /// them. `stacks`: of the base model's sizes; must outlive this object.
  NeuronLocal(const NeuronLocalSize& size, const PackedTheta& packed, const std::vector<Tensor>& groups,
              const LayerStacks& stacks);
  NeuronLocal(const NeuronLocal&) = delete;
  NeuronLocal& operator=(const NeuronLocal&) = delete;

  /// φ after one inner step on x [S, N_0, B].
  Phi step(const Phi& phi, const Tensor& x, Nonlinearity kind, StepTrace* trace = nullptr) const;

 private:
  Tensor hidden_state(const Phi& phi, const WeightStatistics& statistics, std::int64_t l, const Tensor& x,
                      const Tensor& z, const Tensor& d) const;
  /// ΔW of one stack of layers, or ΔV if it has readouts of its own (`matrix` 1). W: the stack's weights,
  /// packed; `read`: of l = 0..L; `pairs`: x, without readouts.
  WeightChange changes(const LayerStack& stack, const Tensor& W, const std::vector<Readouts>& read,
                       std::size_t matrix, LayerPairs pairs) const;
  /// Changes of all layers, without the learning rate: [l - 1].
  struct Changes {
    std::vector<Tensor> W, V;   ///< [S, N_{l-1}, N_l]
    std::vector<Tensor> b;      ///< [S, N_l, 1]
    std::vector<Tensor> terms;  ///< [12, S, N_{l-1}, N_l]
  };
  /// W: the weights of each stack, packed.
  Changes all_changes(const Phi& phi, const std::vector<Tensor>& W, const std::vector<Readouts>& read,
                      const Forward& f) const;
  const Tensor& theta(Group group) const { return groups_[static_cast<std::size_t>(group)]; }
  /// BN of (sin id, cos id) for a layer of that width: [units, 2].
  const Tensor& identity(std::int64_t units) const;

  NetworkPlan plan_;
  const LayerStacks& stacks_;
  std::vector<Tensor> groups_;
  mutable std::map<std::int64_t, Tensor> identities_;
};

}  // namespace outerloop::rule::reference
