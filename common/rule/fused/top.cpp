#include "common/rule/fused/top.h"

#include <algorithm>

#include "common/rule/fused/line_blocks.h"

namespace outerloop::rule::fused {

template <class Real>
TopKept<Real> TopKept<Real>::take(Arena<Real>& arena, const Parameters<Real>& parameters,
                                  std::int64_t batch) {
  const std::int64_t units = parameters.size().output_units, padded = parameters.top_in.padded;
  const auto tensor = [&] { return arena.take(units * batch * padded); };
  TopKept kept;
  kept.z_in = tensor();
  kept.norm_in = Norm<Real>::take(arena, padded);
  for (int i = 0; i < 2; ++i) {
    kept.z_mix[i] = tensor();
    kept.norm_mix[i] = Norm<Real>::take(arena, units);
  }
  for (std::size_t i = 0; i < parameters.top_blocks.size(); ++i) {
    kept.z_blocks.push_back(tensor());
    kept.norm_blocks.push_back(Norm<Real>::take(arena, padded));
  }
  return kept;
}

template <class Real>
typename TopNetwork<Real>::Sizes TopNetwork<Real>::sizes(std::int64_t batch) const {
  const std::int64_t padded = parameters_.top_in.padded;
  return {parameters_.size().output_units,
          batch,
          parameters_.size().top_channels,
          padded,
          batch * padded,
          (batch + 2) * padded};
}

template <class Real>
std::int64_t TopNetwork<Real>::workspace_numbers(std::int64_t batch) const {
  // Two activations with edges, their gradient, and one without edges; the gradient of one mixing's weights.
  const auto s = sizes(batch);
  return s.units * (3 * s.edged + s.row) + 3 * s.units * s.units + 5 * kSlack;
}

template <class Real>
std::int64_t TopNetwork<Real>::kernel_numbers(std::int64_t batch) const {
  const auto s = sizes(batch);
  const std::int64_t channels = std::max(s.padded, parameters_.top_out.padded);
  return std::max(convolution_workspace(batch, 5, channels, kernels_.lanes),
                  kernels_.products.workspace_per_thread(std::max(s.row, s.units)));
}

template <class Real>
void TopNetwork<Real>::mix(const Sizes& s, int i, const TopKept<Real>& kept, const Real* a) const {
  // out[n', (b, t)] = Σ_j Σ_n w[j][n][n'] a[n, (b + j − 1, t)], a with its zero edges
  Product<Real> p;
  p.m = p.k = s.units;
  p.n = s.row;
  p.c = kept.z_mix[i];
  p.c_row = s.row;
  for (std::int64_t j = 0; j < 3; ++j) {
    p.a = {parameters_.top_mix[i].w.data() + j * s.units * s.units, 1, s.units};
    p.b = {a + j * s.padded, s.edged, 1};
    p.accumulate = j > 0;
    kernels_.products.multiply(p, shared_.kernel);
  }
}

template <class Real>
void TopNetwork<Real>::normalise_mix(const Sizes& s, int i, const TopKept<Real>& kept, Real* a) const {
  kernels_.signals.unit_norm({s.units, s.batch, s.channels, s.padded, kept.z_mix[i],
                              parameters_.top_mix[i].beta.data(), kept.norm_mix[i].scale,
                              kept.norm_mix[i].shift, a});
}

/// The input of top.in: x^L as one channel.
template <class Real>
Source<Real> TopNetwork<Real>::features_as_channel(const Real* x) const {
  Source<Real> source;
  source.kind = SourceKind::single;
  source.inputs = 1;
  source.padded = kernels_.lanes;
  source.z0 = x;
  return source;
}

/// The input of block i, or of top.out where i is their number.
template <class Real>
Source<Real> TopNetwork<Real>::input_of_block(const Sizes& s, std::size_t i, const TopKept<Real>& kept,
                                              const Real* a) const {
  Source<Real> source;
  source.inputs = s.channels;
  source.padded = s.padded;
  if (i == 0) {
    source.kind = SourceKind::plain;
    source.z0 = a + s.padded;
    source.z0_unit = s.edged;
  } else {
    source.kind = SourceKind::relu;
    source.z0 = kept.z_blocks[i - 1];
    source.norm0 = kept.norm_blocks[i - 1].affine();
  }
  return source;
}

template <class Real>
void TopNetwork<Real>::forward(std::int64_t batch, const Real* x, const TopKept<Real>& kept, Real* d,
                               Real* workspace) const {
  const auto s = sizes(batch);
  Real* const a = workspace;
  ForwardPass<Real> pass;
  pass.units = pass.last = s.units;
  pass.batch = batch;
  const auto run = [&](const Convolution<Real>& convolution, Real* z, bool norm_follows) {
    pass.taps = convolution.taps;
    pass.outputs = convolution.padded;
    pass.weights = convolution.packed.data();
    pass.bias = norm_follows ? nullptr : convolution.bias.data();
    pass.z = z;
    pass.z_unit = batch * convolution.padded;
    shared_.sums.clear();
    pass.sum = norm_follows ? shared_.sums.first.data() : nullptr;
    pass.sum_squares = shared_.sums.second.data();
    run_pass(kernels_, shared_, pass);
  };

  pass.source = features_as_channel(x);
  run(parameters_.top_in, kept.z_in, true);
  finish_norm(shared_.sums, s.units * batch, parameters_.top_in.beta.data(), s.padded, kept.norm_in);
  kernels_.signals.relu_with_edges(s.units, batch, s.padded, kept.z_in, kept.norm_in.affine(), a);
  for (int i = 0; i < 2; ++i) {
    mix(s, i, kept, a);
    normalise_mix(s, i, kept, a);
  }
  for (std::size_t i = 0; i < parameters_.top_blocks.size(); ++i) {
    pass.source = input_of_block(s, i, kept, a);
    run(parameters_.top_blocks[i], kept.z_blocks[i], true);
    finish_norm(shared_.sums, s.units * batch, parameters_.top_blocks[i].beta.data(), s.padded,
                kept.norm_blocks[i]);
  }
  pass.source = input_of_block(s, parameters_.top_blocks.size(), kept, a);
  run(parameters_.top_out, d, false);
}

/// Backward from top.out to the input of the first block: g = ∂/∂a of the last mixing [N_L, B, padded].
template <class Real>
void TopNetwork<Real>::blocks_backward(const Sizes& s, const TopKept<Real>& kept, const Real* a,
                                       const Real* d_d, Real* g) const {
  for (std::size_t i = parameters_.top_blocks.size() + 1; i-- > 0;) {
    const bool out = i == parameters_.top_blocks.size();
    auto& convolution = out ? parameters_.top_out : parameters_.top_blocks[i];
    auto pass = backward_pass(convolution, s.units, s.batch);
    pass.g = out ? d_d : g;
    if (out)
      pass.d_bias = convolution.d_bias.data();
    else
      shared_.behind_norm(pass, kept.z_blocks[i], kept.norm_blocks[i], s.units * s.batch,
                          convolution.beta.data(), convolution.d_beta.data());
    pass.source = input_of_block(s, i, kept, a);
    pass.d_input = g;
    if (i > 0) shared_.sum_for_norm(pass);
    run_pass(kernels_, shared_, pass);
  }
}

/// Adds ∂/∂w to the parameters' gradient and writes ∂/∂a with edges.
template <class Real>
void TopNetwork<Real>::mix_backward(const Sizes& s, int i, const Real* a, const Real* d_z, Real* d_a,
                                    Real* d_w) const {
  Product<Real> by_weight, by_input;
  by_weight.m = by_weight.n = s.units;
  by_weight.k = s.row;
  by_weight.b = View<Real>{d_z, s.row, 1}.transposed();
  by_weight.c_row = s.units;
  by_input.m = by_input.k = s.units;
  by_input.n = s.row;
  by_input.b = {d_z, s.row, 1};
  by_input.c_row = s.edged;
  by_input.accumulate = true;
  std::fill_n(d_a, s.units * s.edged, Real(0));
  const std::int64_t size = s.units * s.units;
  for (std::int64_t j = 0; j < 3; ++j) {
    by_weight.a = {a + j * s.padded, s.edged, 1};
    by_weight.c = d_w + j * size;
    kernels_.products.multiply(by_weight, shared_.kernel);
    by_input.a = {parameters_.top_mix[i].w.data() + j * size, s.units, 1};
    by_input.c = d_a + j * s.padded;
    kernels_.products.multiply(by_input, shared_.kernel);
  }
  for (std::int64_t k = 0; k < 3 * size; ++k)
    parameters_.top_mix[i].d_w[static_cast<std::size_t>(k)] += static_cast<double>(d_w[k]);
}

template <class Real>
void TopNetwork<Real>::backward(std::int64_t batch, const Real* x, const TopKept<Real>& kept, const Real* d_d,
                                Real* d_x, Real* workspace) const {
  const auto s = sizes(batch);
  Arena<Real> arena(workspace, workspace_numbers(batch));
  Real* const a = arena.take(s.units * s.edged);
  Real* const below = arena.take(s.units * s.edged);
  Real* const d_a = arena.take(s.units * s.edged);
  Real* const g = arena.take(s.units * s.row);
  Real* const d_w = arena.take(3 * s.units * s.units);

  // 1. blocks and top.out, on the second mixing's activation
  normalise_mix(s, 1, kept, a);
  blocks_backward(s, kept, a, d_d, g);

  // 2. the mixings; g becomes the gradient by their z
  const auto norm_backward = [&](int i, const Real* gradient, std::int64_t unit) {
    auto& parameters = parameters_.top_mix[i];
    kernels_.signals.unit_norm_backward(
        {s.units, s.batch, s.channels, s.padded, kept.z_mix[i], parameters.beta.data(),
         kept.norm_mix[i].scale, kept.norm_mix[i].shift, gradient, unit, g, parameters.d_beta.data()});
  };
  norm_backward(1, g, s.row);
  normalise_mix(s, 0, kept, below);
  mix_backward(s, 1, below, g, d_a, d_w);
  norm_backward(0, d_a + s.padded, s.edged);
  kernels_.signals.relu_with_edges(s.units, batch, s.padded, kept.z_in, kept.norm_in.affine(), below);
  mix_backward(s, 0, below, g, d_a, d_w);

  // 3. top.in
  shared_.sums.clear();
  kernels_.signals.relu_with_edges_backward(s.units, batch, s.padded, below, d_a, g,
                                            shared_.sums.first.data(), shared_.sums.second.data());
  auto& in = parameters_.top_in;
  auto pass = backward_pass(in, s.units, batch);
  pass.g = g;
  shared_.behind_norm(pass, kept.z_in, kept.norm_in, s.units * batch, in.beta.data(), in.d_beta.data());
  pass.source = features_as_channel(x);
  pass.d_input = a;  // [N_L, B, lanes], only the first channel is used; the padded T is at least as wide
  run_pass(kernels_, shared_, pass);
  for (std::int64_t i = 0; i < s.units * batch; ++i) d_x[i] += a[i * kernels_.lanes];
}

template struct TopKept<float>;
template struct TopKept<double>;
template class TopNetwork<float>;
template class TopNetwork<double>;

}  // namespace outerloop::rule::fused
