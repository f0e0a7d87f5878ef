#pragma once
// Packs the tensors of all layers into one, so that a single operation serves every layer: [layers, lanes,
// rows, columns], smaller layers padded with zeros. Packing and unpacking are nodes of the autograd graph.
#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "common/rule/reference/export.h"

namespace outerloop::rule::reference {

using at::Tensor;

/// The sizes of the weight matrices [N_{l-1}, N_l] of L consecutive layers, here l = 1..L, and constants that
/// depend only on them.
class OUTERLOOP_REFERENCE_API LayerStack {
 public:
  /// `units`: N_0 .. N_L. `numbers`: the result of `constants`, on the device.
  LayerStack(const std::vector<std::int64_t>& units, const Tensor& numbers);
  static std::vector<double> constants(const std::vector<std::int64_t>& units);

  std::int64_t layers() const { return static_cast<std::int64_t>(units.size()) - 1; }  ///< L
  std::int64_t inputs(std::int64_t l) const { return units[static_cast<std::size_t>(l)]; }
  std::int64_t outputs(std::int64_t l) const { return units[static_cast<std::size_t>(l) + 1]; }
  /// Whether smaller layers are padded.
  bool padded() const;

  std::vector<std::int64_t> units;
  std::int64_t rows = 0;     ///< I: the largest N_{l-1}
  std::int64_t columns = 0;  ///< J: the largest N_l, l >= 1

  // Factors [L, 1, 1, 1] of the matrix l = 1..L
  Tensor per_row;     ///< 1/N_{l-1}
  Tensor per_column;  ///< 1/N_l
  Tensor per_entry;   ///< 1/(N_{l-1} N_l)
  Tensor lower;       ///< 1/sqrt(2 N_{l-1})
  Tensor upper;       ///< 1/sqrt(2 N_l)
  Tensor root;        ///< 1/sqrt(N_l)
  // 1 for entries of a layer, 0 for padding
  Tensor there;       ///< [L, 1, I, J]
  Tensor there_bias;  ///< [L, 1, J, 1]
  Tensor bias_share;  ///< [L, 1, J, 1]: 1/N_l for entries, 0 for padding
  Tensor epsilons;    ///< [2]: 1e-6 for the root mean square of weights, 1e-8 for their deviation
  Tensor epsilon;     ///< [1]: 1e-6, for other root mean squares
};

/// The layers of a base model in two stacks, or one if it has one layer: the first layer, which usually has
/// many more inputs than the others, and the rest. Otherwise most of the others' weights would be padding.
struct OUTERLOOP_REFERENCE_API LayerStacks {
  /// `units`: N_0 .. N_L. `numbers`: the result of `constants`, on the device.
  LayerStacks(const std::vector<std::int64_t>& units, const Tensor& numbers);
  static std::vector<double> constants(const std::vector<std::int64_t>& units);

  LayerStack all;                 ///< all layers together, for what is small
  std::vector<LayerStack> parts;  ///< the first layer, and the rest
};

/// Packs a list of [A, S, rows of l, columns of l] into [A, list, S, rows, columns], padded with zeros.
Tensor pack_layers(const std::vector<Tensor>& parts, std::int64_t rows, std::int64_t columns);

/// Extents of one part.
struct PartSize {
  std::int64_t rows = 0, columns = 0;
};
/// The parts [S, rows of l, columns of l] of `packed` [list, S, rows, columns], as views.
std::vector<Tensor> unpack_layers(const Tensor& packed, const std::vector<PartSize>& sizes);

/// Part l of `packed` [list, S, rows, columns].
inline Tensor layer_part(const Tensor& packed, std::int64_t l, const PartSize& size) {
  return packed.select(0, l).narrow(1, 0, size.rows).narrow(2, 0, size.columns);
}

}  // namespace outerloop::rule::reference
