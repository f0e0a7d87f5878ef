#pragma once
// θ of the neuron-local rule, regrouped on the host into the order in which its networks use it, so that the
// device spends no operation on that. The groups are the leaves of the graph: [lanes, numbers], the same
// values in every lane, a gradient per lane.
#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/rule/layout.h"
#include "common/rule/reference/export.h"
#include "common/rule/theta.h"

namespace outerloop::rule::reference {

using at::Tensor;

/// A tensor within a group.
struct Piece {
  std::int64_t offset = 0;
  std::vector<std::int64_t> shape;

  std::int64_t size() const;
  /// This tensor, in the first lane of a group [lanes, numbers].
  Tensor of(const Tensor& group) const;
};

/// Groups; `backward_merge` is the merge of V, if V has readouts of its own.
enum class Group { top, hidden, read, merge, backward_merge, bias };
constexpr std::size_t kGroups = 6;

/// A convolution's weights and the offset of the batch norm after it.
struct BlockPieces {
  Piece w;     ///< [taps, in, out]
  Piece beta;  ///< [out]; the last convolution of the top network has a bias instead
};

struct TopPieces {
  std::vector<BlockPieces> blocks;  ///< in, mix.0, mix.1, block.i
  BlockPieces out;
};

struct HiddenPieces {
  Piece beta_varying;               ///< [2 + D]: hidden.features.beta of x, z, d
  Piece beta_identity;              ///< [2]: of sin, cos
  Piece in_constant;                ///< [1, 11, 3 C]: hidden.in.w of s, b, sin, cos
  std::vector<BlockPieces> blocks;  ///< in, in.unit.0, in.unit.1, block.i, ...; the first only of x, z, d
};

struct ReadPieces {
  Piece w;     ///< [rows, C]: readouts of the lower role, of the upper role, delta.w (D rows), bias.w (1)
  Piece bias;  ///< [rows - 1]: of all but bias.w
  std::int64_t lower = 0, upper = 0;  ///< readouts of each role, G rows each
};

class OUTERLOOP_REFERENCE_API PackedTheta {
 public:
  PackedTheta(const NeuronLocalSize& size, const Layout& layout);

  /// The total number of numbers in all groups.
  std::int64_t size() const { return static_cast<std::int64_t>(source_.size()); }
  /// The number of numbers in each group, in the order of Group; 0 if absent.
  const std::vector<std::int64_t>& group_sizes() const { return group_sizes_; }

  /// θ, laid out as `layout`, regrouped: all groups in sequence.
  std::vector<double> pack(const std::vector<double>& theta) const;
  /// Converts a gradient in the order of `pack` to the order of θ; 0 for numbers in no group: biases before a
  /// batch norm.
  std::vector<double> unpack(const double* packed) const;
  /// The groups of `packed` [lanes, size()] as separate tensors; undefined if absent.
  std::vector<Tensor> split(const Tensor& packed) const;

  const TopPieces& top() const { return top_; }
  const HiddenPieces& hidden() const { return hidden_; }
  const ReadPieces& read() const { return read_; }

 private:
  class Builder;
  // Each appends the groups of its part of θ.
  void add_top(const NeuronLocalSize& size, Builder& build);
  void add_hidden(const NeuronLocalSize& size, Builder& build);
  void add_readouts(const NeuronLocalSize& size, Builder& build);
  void add_small_groups(const NeuronLocalSize& size, Builder& build);

  std::vector<std::int64_t> source_;  ///< index in θ of each number
  std::vector<std::int64_t> group_sizes_;
  std::int64_t theta_size_ = 0;
  TopPieces top_;
  HiddenPieces hidden_;
  ReadPieces read_;
};

}  // namespace outerloop::rule::reference
