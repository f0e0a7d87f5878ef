#include "common/rule/reference/packed_theta.h"

#include <functional>
#include <numeric>

#include "common/rule/reference/weight_change.h"

namespace outerloop::rule::reference {
namespace {

using Indices = std::vector<std::int64_t>;

constexpr const char* kUpperNames[kUpperReadouts] = {"w0.col",        "w1.col",        "rbf.col",
                                                     "lin_upper.row", "sqr_upper.row", "lin_upper.col",
                                                     "sqr_upper.col", "lin_upper_psd"};
constexpr const char* kLowerNames[kLowerReadouts] = {
    "w0.row", "w1.row", "rbf.row", "lin_lower.row", "sqr_lower.row", "lin_lower.col", "sqr_lower.col"};

/// Channels of hidden.in that are constant along the batch: s (8), b, sin, cos.
std::vector<std::int64_t> constant_channels() { return {0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12}; }

/// x, z, d.
std::vector<std::int64_t> varying_channels(std::int64_t D) {
  std::vector<std::int64_t> channels = {9, 10};
  for (std::int64_t i = 0; i < D; ++i) channels.push_back(13 + i);
  return channels;
}

}  // namespace

std::int64_t Piece::size() const {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

Tensor Piece::of(const Tensor& group) const {
  std::vector<std::int64_t> strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return group.as_strided(shape, strides, group.storage_offset() + offset);
}

/// Appends indices of θ to the current group.
class PackedTheta::Builder {
 public:
  Builder(PackedTheta& packed, const Layout& layout) : packed_(packed), layout_(layout) {}

  void begin() { first_ = static_cast<std::int64_t>(packed_.source_.size()); }
  void end() { packed_.group_sizes_.push_back(packed_.size() - first_); }

  Piece piece(const Indices& indices, std::vector<std::int64_t> shape) {
    const std::int64_t offset = packed_.size() - first_;
    packed_.source_.insert(packed_.source_.end(), indices.begin(), indices.end());
    return {offset, std::move(shape)};
  }

  Piece tensor(const std::string& name) { return piece(indices(name), layout_.at(name).shape); }

  BlockPieces block(const std::string& name) {
    const Piece w = tensor(name + ".w");
    return {w, tensor(name + ".beta")};
  }

  Indices indices(const std::string& name) const {
    const auto& spec = layout_.at(name);
    Indices all(static_cast<std::size_t>(spec.size()));
    std::iota(all.begin(), all.end(), spec.offset);
    return all;
  }

  /// hidden.in.w of some channels: [taps, channels, C].
  Piece in_channels(const std::vector<std::int64_t>& channels) {
    const auto& spec = layout_.at("hidden.in.w");
    const std::int64_t in = spec.shape[1], C = spec.shape[2];
    Indices all;
    for (std::int64_t tap = 0; tap < 3; ++tap)
      for (const auto channel : channels)
        for (std::int64_t c = 0; c < C; ++c) all.push_back(spec.offset + (tap * in + channel) * C + c);
    return piece(all, {3, static_cast<std::int64_t>(channels.size()), C});
  }

  /// The same for one product with all taps: [1, channels, 3 C].
  Piece in_constant(const std::vector<std::int64_t>& channels) {
    const auto& spec = layout_.at("hidden.in.w");
    const std::int64_t in = spec.shape[1], C = spec.shape[2];
    Indices all;
    for (const auto channel : channels)
      for (std::int64_t tap = 0; tap < 3; ++tap)
        for (std::int64_t c = 0; c < C; ++c) all.push_back(spec.offset + (tap * in + channel) * C + c);
    return piece(all, {1, static_cast<std::int64_t>(channels.size()), 3 * C});
  }

  /// Appends a readout's weights [C, G], transposed.
  void append_transposed(const std::string& name, Indices& all) const {
    const auto& spec = layout_.at(name);
    for (std::int64_t g = 0; g < spec.shape[1]; ++g)
      for (std::int64_t c = 0; c < spec.shape[0]; ++c) all.push_back(spec.offset + c * spec.shape[1] + g);
  }

 private:
  PackedTheta& packed_;
  const Layout& layout_;
  std::int64_t first_ = 0;
};

PackedTheta::PackedTheta(const NeuronLocalSize& size, const Layout& layout) : theta_size_(layout.size()) {
  Builder build(*this, layout);
  add_top(size, build);
  add_hidden(size, build);
  add_readouts(size, build);
  add_small_groups(size, build);
}

void PackedTheta::add_top(const NeuronLocalSize& size, Builder& build) {
  build.begin();
  for (const char* name : {"top.in", "top.mix.0", "top.mix.1"}) top_.blocks.push_back(build.block(name));
  for (std::int64_t i = 0; i < size.top_layers; ++i)
    top_.blocks.push_back(build.block("top.block." + std::to_string(i)));
  top_.out.w = build.tensor("top.out.w");
  top_.out.beta = build.tensor("top.out.b");
  build.end();
}

/// The network of hidden states. Features: x, z, sin, cos, d.
void PackedTheta::add_hidden(const NeuronLocalSize& size, Builder& build) {
  build.begin();
  auto beta = build.indices("hidden.features.beta");
  const Indices identity(beta.begin() + 2, beta.begin() + 4);
  beta.erase(beta.begin() + 2, beta.begin() + 4);
  hidden_.beta_varying = build.piece(beta, {2 + size.delta_channels});
  hidden_.beta_identity = build.piece(identity, {2});
  hidden_.in_constant = build.in_constant(constant_channels());
  hidden_.blocks.push_back({build.in_channels(varying_channels(size.delta_channels)), {}});
  hidden_.blocks.back().beta = build.tensor("hidden.in.beta");
  for (const char* unit : {"0", "1"})
    hidden_.blocks.push_back(build.block(std::string("hidden.in.unit.") + unit));
  for (std::int64_t i = 0; i < size.hidden_blocks; ++i) {
    const std::string name = "hidden.block." + std::to_string(i);
    for (const char* part : {"", ".unit.0", ".unit.1"}) hidden_.blocks.push_back(build.block(name + part));
  }
  build.end();
}

void PackedTheta::add_readouts(const NeuronLocalSize& size, Builder& build) {
  build.begin();
  std::vector<std::string> prefixes = {""};
  if (size.separate_backward_readouts) prefixes.emplace_back("backward.");
  Indices w, bias;
  const auto append = [&](const std::string& name) {
    build.append_transposed(name + ".w", w);
    const auto b = build.indices(name + ".b");
    bias.insert(bias.end(), b.begin(), b.end());
  };
  for (const auto& prefix : prefixes)
    for (const char* name : kLowerNames) append(prefix + "readout." + name);
  for (const auto& prefix : prefixes)
    for (const char* name : kUpperNames) append(prefix + "readout." + name);
  read_.lower = kLowerReadouts * static_cast<std::int64_t>(prefixes.size());
  read_.upper = kUpperReadouts * static_cast<std::int64_t>(prefixes.size());
  append("delta");
  build.append_transposed("bias.w", w);
  const auto rows = static_cast<std::int64_t>(w.size()) / size.hidden_channels;
  read_.w = build.piece(w, {rows, size.hidden_channels});
  read_.bias = build.piece(bias, {rows - 1});
  build.end();
}

void PackedTheta::add_small_groups(const NeuronLocalSize& size, Builder& build) {
  const auto merge = [&](const std::string& prefix, bool there) {
    build.begin();
    if (there) {
      const auto w = build.indices(prefix + "merge.w");
      Indices ordered;
      for (const auto term : kMergeOrder) ordered.push_back(w[static_cast<std::size_t>(term)]);
      build.piece(ordered, {12});
      build.tensor(prefix + "merge.b");
    }
    build.end();
  };
  merge("", true);
  merge("backward.", size.separate_backward_readouts);
  build.begin();
  build.tensor("bias.b");
  build.end();
}

std::vector<double> PackedTheta::pack(const std::vector<double>& theta) const {
  std::vector<double> packed;
  packed.reserve(source_.size());
  for (const auto index : source_) packed.push_back(theta[static_cast<std::size_t>(index)]);
  return packed;
}

std::vector<double> PackedTheta::unpack(const double* packed) const {
  std::vector<double> gradient(static_cast<std::size_t>(theta_size_), 0.0);
  for (std::size_t i = 0; i < source_.size(); ++i) gradient[static_cast<std::size_t>(source_[i])] = packed[i];
  return gradient;
}

std::vector<Tensor> PackedTheta::split(const Tensor& packed) const {
  std::vector<Tensor> groups;
  std::int64_t first = 0;
  for (const auto size : group_sizes_) {
    groups.push_back(size > 0 ? packed.narrow(1, first, size) : Tensor());
    first += size;
  }
  return groups;
}

}  // namespace outerloop::rule::reference
