#include "common/rule/fused/parameters.h"

#include <algorithm>
#include <numeric>

namespace outerloop::rule::fused {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

// Same order as in weight_change.h.
const char* const kUpperNames[kUpperReadouts] = {"w0.col",        "w1.col",        "rbf.col",
                                                 "lin_upper.row", "lin_upper.col", "sqr_upper.row",
                                                 "sqr_upper.col", "lin_upper_psd"};
const char* const kLowerNames[kLowerReadouts] = {
    "w0.row", "w1.row", "rbf.row", "lin_lower.row", "lin_lower.col", "sqr_lower.row", "sqr_lower.col"};

template <class T>
void zero(std::vector<T>& values) {
  std::fill(values.begin(), values.end(), T(0));
}

}  // namespace

template <class Real>
Convolution<Real>::Convolution(std::int64_t t, std::int64_t i, std::int64_t o, std::int64_t lanes)
    : taps(t), inputs(i), outputs(o), padded(padded_channels(o, lanes)) {
  natural.resize(index(taps * inputs * outputs));
  packed.resize(index(taps * inputs * padded));
  transposed.resize(index(taps * outputs * padded_channels(inputs, lanes)));
  bias.resize(index(padded));
  beta.resize(index(padded));
  d_total.resize(index(taps * inputs * padded));
  d_bias.resize(index(padded));
  d_beta.resize(index(padded));
}

template <class Real>
void Convolution<Real>::pack(std::int64_t lanes) {
  pack_weights(natural.data(), taps, inputs, outputs, lanes, packed.data());
  pack_transposed(natural.data(), taps, inputs, outputs, lanes, transposed.data());
}

template <class Real>
void Convolution<Real>::clear_gradient() {
  zero(d_total);
  zero(d_bias);
  zero(d_beta);
}

template <class Real>
Parameters<Real>::Parameters(const NeuronLocalSize& size, const Layout& layout, std::int64_t lanes)
    : size_(size), layout_(layout), lanes_(lanes) {
  const std::int64_t C = size.hidden_channels, T = size.top_channels, D = size.delta_channels,
                     N = size.output_units;
  const std::int64_t padded = padded_channels(C, lanes);
  top_in = Convolution<Real>(5, 1, T, lanes);
  top_out = Convolution<Real>(3, T, D, lanes);
  for (std::int64_t i = 0; i < size.top_layers; ++i) top_blocks.emplace_back(3, T, T, lanes);
  for (auto& mix : top_mix) {
    mix.w.resize(index(3 * N * N));
    mix.beta.resize(index(N));
    mix.d_w.resize(mix.w.size());
    mix.d_beta.resize(index(N));
  }
  for (std::int64_t i = 0; i <= size.hidden_blocks; ++i) {
    HiddenBlock<Real> block;
    block.in = Convolution<Real>(3, i == 0 ? D + 2 : C, C, lanes);
    block.unit0 = Convolution<Real>(3, C, C, lanes);
    block.unit1 = Convolution<Real>(3, C, C, lanes);
    hidden.push_back(std::move(block));
  }
  features_beta.resize(index(padded_channels(D + 2, lanes)));
  d_features_beta.resize(features_beta.size());
  constant_weights.resize(index(kConstantChannels * 3 * padded));
  d_constant_weights.resize(constant_weights.size());
  bias_w.resize(index(padded));
  d_bias_w.resize(index(padded));
  for (int i = 0; i < 2; ++i) {
    merge_w[i].resize(kTerms);
    d_merge_w[i].resize(kTerms);
  }

  add_piece("top.in", &top_in, false, true);
  for (std::size_t i = 0; i < top_blocks.size(); ++i)
    add_piece("top.block." + std::to_string(i), &top_blocks[i], false, true);
  add_piece("top.out", &top_out, true, false);
  for (std::size_t i = 0; i < hidden.size(); ++i) {
    const std::string name = i == 0 ? "hidden.in" : "hidden.block." + std::to_string(i - 1);
    add_piece(name, &hidden[i].in, false, true);
    add_piece(name + ".unit.0", &hidden[i].unit0, false, true);
    add_piece(name + ".unit.1", &hidden[i].unit1, false, true);
    if (i > 0) continue;
    // θ's channels are s (8), b, x, z, sin, cos, d (D); the packed ones are d, x, z.
    auto& inputs = pieces_[pieces_.size() - 3].inputs;
    for (std::int64_t d = 0; d < D; ++d) inputs[index(d)] = 13 + d;
    inputs[index(D)] = 9;
    inputs[index(D + 1)] = 10;
  }
  for (const auto position : {Position::bottom, Position::middle, Position::top}) add_readouts(position);
}

template <class Real>
void Parameters<Real>::add_piece(const std::string& name, Convolution<Real>* convolution, bool bias,
                                 bool beta) {
  Piece piece{name, convolution, std::vector<std::int64_t>(index(convolution->inputs)), 0, bias, beta};
  std::iota(piece.inputs.begin(), piece.inputs.end(), std::int64_t{0});
  pieces_.push_back(std::move(piece));
}

template <class Real>
ReadoutColumns Parameters<Real>::columns(Position position) const {
  ReadoutColumns columns;
  const bool upper = position != Position::bottom, lower = position != Position::top;
  const auto place = [&](bool wanted, int count) {
    if (!wanted) return -1;
    const int at = columns.planes;
    columns.planes += count;
    return at;
  };
  columns.upper = place(upper, kUpperReadouts);
  columns.lower = place(lower, kLowerReadouts);
  columns.backward_upper = place(upper && size_.separate_backward_readouts, kUpperReadouts);
  columns.backward_lower = place(lower && size_.separate_backward_readouts, kLowerReadouts);
  columns.delta = upper;
  return columns;
}

template <class Real>
void Parameters<Real>::add_readouts(Position position) {
  const auto at = columns(position);
  const std::int64_t G = size_.readout_channels;
  auto& convolution = readouts_[static_cast<std::size_t>(position)];
  convolution = Convolution<Real>(1, size_.hidden_channels,
                                  at.planes * G + (at.delta ? size_.delta_channels : 0), lanes_);
  const auto add = [&](int first, const std::string& prefix, const char* const* names, int count) {
    for (int i = 0; first >= 0 && i < count; ++i) {
      add_piece(prefix + "readout." + names[i], &convolution, true, false);
      pieces_.back().column = (first + i) * G;
    }
  };
  add(at.upper, "", kUpperNames, kUpperReadouts);
  add(at.lower, "", kLowerNames, kLowerReadouts);
  add(at.backward_upper, "backward.", kUpperNames, kUpperReadouts);
  add(at.backward_lower, "backward.", kLowerNames, kLowerReadouts);
  if (!at.delta) return;
  add_piece("delta", &convolution, true, false);
  pieces_.back().column = at.planes * G;
}

template <class Real>
void Parameters<Real>::load_piece(const Piece& piece, const std::vector<double>& theta) const {
  const auto& w = layout_.at(piece.name + ".w");
  auto& to = *piece.convolution;
  const std::int64_t columns = w.shape.back(), all_inputs = w.shape[w.shape.size() - 2];
  for (std::int64_t j = 0; j < to.taps; ++j)
    for (std::int64_t i = 0; i < to.inputs; ++i)
      for (std::int64_t c = 0; c < columns; ++c)
        to.natural[index((j * to.inputs + i) * to.outputs + piece.column + c)] = static_cast<Real>(
            theta[index(w.offset + (j * all_inputs + piece.inputs[index(i)]) * columns + c)]);
  const auto copy = [&](const char* what, std::vector<Real>& values) {
    const auto& spec = layout_.at(piece.name + what);
    for (std::int64_t c = 0; c < columns; ++c)
      values[index(piece.column + c)] = static_cast<Real>(theta[index(spec.offset + c)]);
  };
  if (piece.bias) copy(".b", to.bias);
  if (piece.beta) copy(".beta", to.beta);
}

template <class Real>
void Parameters<Real>::export_piece(const Piece& piece, std::vector<double>& d_theta) const {
  const auto& w = layout_.at(piece.name + ".w");
  const auto& from = *piece.convolution;
  const std::int64_t columns = w.shape.back(), all_inputs = w.shape[w.shape.size() - 2];
  for (std::int64_t j = 0; j < from.taps; ++j)
    for (std::int64_t i = 0; i < from.inputs; ++i)
      for (std::int64_t c = 0; c < columns; ++c)
        d_theta[index(w.offset + (j * all_inputs + piece.inputs[index(i)]) * columns + c)] +=
            from.d_total[index((j * from.inputs + i) * from.padded + piece.column + c)];
  const auto add = [&](const char* what, const std::vector<double>& values) {
    const auto& spec = layout_.at(piece.name + what);
    for (std::int64_t c = 0; c < columns; ++c)
      d_theta[index(spec.offset + c)] += values[index(piece.column + c)];
  };
  if (piece.bias) add(".b", from.d_bias);
  if (piece.beta) add(".beta", from.d_beta);
}

/// Calls f(first element of θ, number, values, gradient) for each piece that is stored in the order of θ.
template <class Real>
template <class F>
void Parameters<Real>::for_plain(const F& f) {
  const std::int64_t C = size_.hidden_channels, D = size_.delta_channels, N = size_.output_units;
  const std::int64_t padded = padded_channels(C, lanes_);
  for (int i = 0; i < 2; ++i) {
    const std::string name = "top.mix." + std::to_string(i);
    f(layout_.at(name + ".w").offset, 3 * N * N, top_mix[i].w.data(), top_mix[i].d_w.data());
    f(layout_.at(name + ".beta").offset, N, top_mix[i].beta.data(), top_mix[i].d_beta.data());
  }
  // hidden.features.beta: x, z, sin, cos, d
  const std::int64_t beta = layout_.at("hidden.features.beta").offset;
  f(beta, 2, features_beta.data() + D, d_features_beta.data() + D);
  f(beta + 2, 2, identity_beta, d_identity_beta);
  f(beta + 4, D, features_beta.data(), d_features_beta.data());
  // hidden.in.w of s (8), b and sin, cos
  const std::int64_t in = layout_.at("hidden.in.w").offset;
  for (std::int64_t j = 0; j < 3; ++j)
    for (std::int64_t i = 0; i < kConstantChannels; ++i) {
      const std::int64_t at = (i * 3 + j) * padded;
      f(in + (j * (13 + D) + (i < 9 ? i : i + 2)) * C, C, constant_weights.data() + at,
        d_constant_weights.data() + at);
    }
  f(layout_.at("bias.w").offset, C, bias_w.data(), d_bias_w.data());
  f(layout_.at("bias.b").offset, 1, &bias_b, &d_bias_b);
  for (int i = 0; i < (size_.separate_backward_readouts ? 2 : 1); ++i) {
    const std::string prefix = i == 0 ? "" : "backward.";
    f(layout_.at(prefix + "merge.w").offset, kTerms, merge_w[i].data(), d_merge_w[i].data());
    f(layout_.at(prefix + "merge.b").offset, 1, &merge_b[i], &d_merge_b[i]);
  }
}

template <class Real>
std::vector<Convolution<Real>*> Parameters<Real>::convolutions() {
  std::vector<Convolution<Real>*> all = {&top_in, &top_out};
  for (auto& block : top_blocks) all.push_back(&block);
  for (auto& block : hidden) all.insert(all.end(), {&block.in, &block.unit0, &block.unit1});
  for (auto& readouts : readouts_) all.push_back(&readouts);
  return all;
}

template <class Real>
void Parameters<Real>::load(const std::vector<double>& theta) {
  for (const auto& piece : pieces_) load_piece(piece, theta);
  for_plain([&](std::int64_t first, std::int64_t count, Real* values, double*) {
    for (std::int64_t i = 0; i < count; ++i) values[i] = static_cast<Real>(theta[index(first + i)]);
  });
  for (auto* convolution : convolutions()) convolution->pack(lanes_);
}

template <class Real>
std::int64_t Parameters<Real>::most_weights() {
  std::int64_t most = 0;
  for (const auto* c : convolutions()) most = std::max(most, c->taps * c->inputs * c->padded);
  return most;
}

template <class Real>
void Parameters<Real>::clear_gradient() {
  for (auto* convolution : convolutions()) convolution->clear_gradient();
  for_plain([](std::int64_t, std::int64_t count, Real*, double* d) { std::fill_n(d, count, 0.0); });
}

template <class Real>
std::vector<double> Parameters<Real>::gradient() const {
  std::vector<double> d_theta(index(layout_.size()));
  for (const auto& piece : pieces_) export_piece(piece, d_theta);
  const_cast<Parameters*>(this)->for_plain(
      [&](std::int64_t first, std::int64_t count, const Real*, const double* d) {
        for (std::int64_t i = 0; i < count; ++i) d_theta[index(first + i)] += d[i];
      });
  for (const auto& spec : layout_.tensors())
    if (spec.zero_gradient) std::fill_n(d_theta.begin() + spec.offset, spec.size(), 0.0);
  return d_theta;
}

template struct Convolution<float>;
template struct Convolution<double>;
template class Parameters<float>;
template class Parameters<double>;

}  // namespace outerloop::rule::fused
