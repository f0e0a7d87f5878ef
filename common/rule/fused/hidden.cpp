#include "common/rule/fused/hidden.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "common/rule/fused/line_blocks.h"

namespace outerloop::rule::fused {
namespace {

constexpr std::size_t kPerBlock =
    3;  ///< convolutions: one along the batch or from the features, two along the units

/// Prefetches the numbers that lie `distance` numbers behind `at`; there need not be any.
template <class Real>
void fetch_ahead([[maybe_unused]] const Real* at, [[maybe_unused]] std::int64_t distance) {
#if defined(__GNUC__)
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(at) +
                                                   static_cast<std::size_t>(distance) * sizeof(Real)));
#endif
}

/// Copies `rows` groups of G numbers; groups lie `from_row` numbers apart in the source, `to_row` in the
/// target. One of the two is dense, [units, rows, G]: its next unit is prefetched, too short for the hardware
/// to notice.
template <std::int64_t kG, class Real>
void copy_fixed(std::int64_t rows, const Real* from, std::int64_t from_row, Real* to, std::int64_t to_row) {
  constexpr auto kCacheLine = static_cast<std::int64_t>(64 / sizeof(Real));
  const Real* const dense = to_row == kG ? to : from;
  for (std::int64_t b = 0; b < rows; ++b) {
    if (b * kG % kCacheLine == 0) fetch_ahead(dense + b * kG, rows * kG);
    std::memcpy(to + b * to_row, from + b * from_row, kG * sizeof(Real));
  }
}

template <class Real>
void copy_groups(std::int64_t G, std::int64_t rows, const Real* from, std::int64_t from_row, Real* to,
                 std::int64_t to_row) {
  if (G == 4) return copy_fixed<4>(rows, from, from_row, to, to_row);  // the usual G: one vector per group
  for (std::int64_t b = 0; b < rows; ++b) std::copy_n(from + b * from_row, G, to + b * to_row);
}

}  // namespace

template <class Real>
HiddenKept<Real> HiddenKept<Real>::take(Arena<Real>& arena, const Parameters<Real>& parameters,
                                        const HiddenSize& size) {
  const std::int64_t rows = size.units * size.batch, padded = parameters.hidden.front().in.padded;
  const auto features = static_cast<std::int64_t>(parameters.features_beta.size());
  const auto columns = parameters.columns(size.position);
  HiddenKept kept;
  kept.f = arena.take(rows * features + kSlack);
  if (size.position != Position::top) kept.inverse_rms = arena.take(rows);
  kept.norm_f = Norm<Real>::take(arena, features);
  for (std::size_t i = 0; i < kPerBlock * parameters.hidden.size(); ++i) {
    kept.z.push_back(arena.take(rows * padded));
    kept.norm.push_back(Norm<Real>::take(arena, padded));
  }
  kept.constants = arena.take(size.units * kConstantChannels);
  kept.planes = arena.take(columns.planes * rows * parameters.size().readout_channels);
  kept.means = arena.take(size.units * padded);
  if (columns.delta) kept.error = arena.take(rows * parameters.size().delta_channels + kSlack);
  return kept;
}

template <class Real>
std::int64_t HiddenNetwork<Real>::workspace_numbers(const HiddenSize& size) const {
  const std::int64_t rows = size.units * size.batch, wide = std::max(padded(), padded_features());
  return 2 * (rows * wide + kSlack) + size.units * 3 * padded() + kSlack +
         line_numbers(size) * shared_.pool.threads() + kConstantChannels * 3 * padded() + 6 * kSlack;
}

/// One line of readouts per thread.
template <class Real>
std::int64_t HiddenNetwork<Real>::line_numbers(const HiddenSize& size) const {
  return aligned_numbers<Real>(size.batch * parameters_.readouts(size.position).padded + kSlack);
}

template <class Real>
std::int64_t HiddenNetwork<Real>::kernel_numbers(const HiddenSize& size) const {
  std::int64_t wide = std::max(padded(), padded_features());
  for (const auto position : {Position::bottom, Position::middle, Position::top})
    wide = std::max(wide, parameters_.readouts(position).padded);
  return std::max({convolution_workspace(size.batch, 3, wide, kernels_.lanes),
                   kernels_.products.workspace_per_thread(std::max(size.units, 3 * padded())),
                   size.batch + 2 * kSlack});
}

template <class Real>
Convolution<Real>& HiddenNetwork<Real>::convolution(std::size_t i) const {
  auto& block = parameters_.hidden[i / kPerBlock];
  return i % kPerBlock == 0 ? block.in : i % kPerBlock == 1 ? block.unit0 : block.unit1;
}

/// The input of convolution i; if i is the number of convolutions, the input of the readouts.
template <class Real>
Source<Real> HiddenNetwork<Real>::source(std::size_t i, const HiddenKept<Real>& kept) const {
  Source<Real> s;
  s.inputs = channels();
  s.padded = padded();
  if (i == 0) {
    s.kind = SourceKind::affine;
    s.inputs = parameters_.size().delta_channels + 2;
    s.padded = padded_features();
    s.z0 = kept.f;
    s.norm0 = kept.norm_f.affine();
  } else if (i % kPerBlock == 0) {  // the output of a unit_block: a + relu(BN(...))
    s.kind = SourceKind::relu_sum;
    s.z0 = kept.z[i - 3];
    s.norm0 = kept.norm[i - 3].affine();
    s.z1 = kept.z[i - 1];
    s.norm1 = kept.norm[i - 1].affine();
  } else {
    s.kind = SourceKind::relu;
    s.z0 = kept.z[i - 1];
    s.norm0 = kept.norm[i - 1].affine();
  }
  return s;
}

template <class Real>
void HiddenNetwork<Real>::convolve(const HiddenSize& size, std::size_t i, const HiddenKept<Real>& kept,
                                   const Real* per_unit) const {
  const auto& weights = convolution(i);
  ForwardPass<Real> pass;
  pass.axis = i % kPerBlock == 0 ? Axis::batch : Axis::units;
  pass.units = pass.last = size.units;
  pass.batch = size.batch;
  pass.source = source(i, kept);
  pass.outputs = padded();
  pass.weights = weights.packed.data();
  pass.per_unit = per_unit;
  pass.z = kept.z[i];
  pass.z_unit = size.batch * padded();
  shared_.sums.clear();
  pass.sum = shared_.sums.first.data();
  pass.sum_squares = shared_.sums.second.data();
  run_pass(kernels_, shared_, pass);
  finish_norm(shared_.sums, size.units * size.batch, weights.beta.data(), padded(), kept.norm[i]);
}

template <class Real>
void HiddenNetwork<Real>::forward(const HiddenSize& size, const Real* x, const Real* z, const Real* d,
                                  std::int64_t d_row, const HiddenKept<Real>& kept, Real* workspace) const {
  Arena<Real> arena(workspace, workspace_numbers(size));
  Real* const per_unit = arena.take(size.units * 3 * padded());
  Real* const lines = arena.take(line_numbers(size) * shared_.pool.threads());

  // 1. inputs that vary along the batch
  shared_.sums.clear();
  Features<Real> features;
  features.units = size.units;
  features.batch = size.batch;
  features.delta = parameters_.size().delta_channels;
  features.padded = padded_features();
  features.x = x;
  features.z = z;
  features.d = d;
  features.d_row = d_row;
  features.inverse_rms = kept.inverse_rms;
  features.f = kept.f;
  features.sum = shared_.sums.first.data();
  features.sum_squares = shared_.sums.second.data();
  for_line_blocks(shared_, features,
                  [&](const Features<Real>& part, int) { kernels_.signals.features(part); });
  finish_norm(shared_.sums, size.units * size.batch, parameters_.features_beta.data(), padded_features(),
              kept.norm_f);

  // 2. inputs that do not: one product for the whole layer instead of one per example
  Product<Real> p;
  p.m = size.units;
  p.n = 3 * padded();
  p.k = kConstantChannels;
  p.a = {kept.constants, kConstantChannels, 1};
  p.b = {parameters_.constant_weights.data(), 3 * padded(), 1};
  p.c = per_unit;
  p.c_row = 3 * padded();
  kernels_.products.multiply(p, shared_.kernel);

  // 3. the convolutions, and everything computed from their result
  shared_.enter(Part::convolutions);
  for (std::size_t i = 0; i < kept.z.size(); ++i) convolve(size, i, kept, i == 0 ? per_unit : nullptr);
  shared_.enter(Part::readouts);
  read(size, z, kept, lines);
  shared_.enter(Part::rest);
}

/// Calls f(pass of one line, unit, thread) for all lines of `pass`.
template <class Real>
template <class Pass, class F>
void HiddenNetwork<Real>::for_each_line(const Pass& pass, const F& f) const {
  for_line_blocks(shared_, pass, [&](Pass part, int thread) {
    const std::int64_t first = part.first, last = part.last;
    for (std::int64_t u = first; u < last; ++u) {
      if (u > first && u % kBlockLines == 0) part.next_block();
      part.first = u;
      part.last = u + 1;
      f(part, u, thread);
    }
  });
}

template <class Real>
void HiddenNetwork<Real>::read(const HiddenSize& size, const Real* z, const HiddenKept<Real>& kept,
                               Real* lines) const {
  const auto columns = parameters_.columns(size.position);
  const auto& weights = parameters_.readouts(size.position);
  const std::int64_t G = parameters_.size().readout_channels, D = parameters_.size().delta_channels;
  const std::int64_t plane = size.units * size.batch * G;
  ForwardPass<Real> pass;
  pass.taps = 1;
  pass.units = size.units;
  pass.batch = size.batch;
  pass.source = source(kept.z.size(), kept);
  pass.outputs = weights.padded;
  pass.weights = weights.packed.data();
  pass.bias = weights.bias.data();
  pass.input_means = kept.means;
  for_each_line(pass, [&](ForwardPass<Real>& one, std::int64_t u, int thread) {
    Real* const line = lines + thread * line_numbers(size);
    one.z = line;
    kernels_.convolutions.forward(one, shared_.kernel_of(thread));
    for (int k = 0; k < columns.planes; ++k) {
      Real* to = kept.planes + k * plane + u * size.batch * G;
      const Real* from = line + k * G;
      copy_groups(G, size.batch, from, weights.padded, to, G);
    }
    if (columns.delta)
      kernels_.signals.error_signal(size.batch, D, kept.f + u * size.batch * padded_features(),
                                    padded_features(), z + u * size.batch, line + columns.planes * G,
                                    weights.padded, kept.error + u * size.batch * D,
                                    shared_.kernel_of(thread));
  });
}

/// g = ∂/∂h; the sums for the batch norm below are left in shared_.sums.
template <class Real>
void HiddenNetwork<Real>::read_backward(const HiddenSize& size, const HiddenKept<Real>& kept,
                                        const HiddenGradient<Real>& gradient, Real* lines, Real* g) const {
  const auto columns = parameters_.columns(size.position);
  auto& weights = parameters_.readouts(size.position);
  const std::int64_t G = parameters_.size().readout_channels, D = parameters_.size().delta_channels;
  const std::int64_t plane = size.units * size.batch * G;
  std::fill_n(lines, line_numbers(size) * shared_.pool.threads(), Real(0));  // the padding stays zero
  auto pass = backward_pass(weights, size.units, size.batch);
  pass.g_unit = 0;
  pass.source = source(kept.z.size(), kept);
  pass.d_bias = weights.d_bias.data();
  pass.d_input = g;
  pass.d_start = gradient.means;
  shared_.sum_for_norm(pass);
  for_each_line(pass, [&](BackwardPass<Real>& one, std::int64_t u, int thread) {
    Real* const line = lines + thread * line_numbers(size);
    for (int k = 0; k < columns.planes; ++k) {
      const Real* from = gradient.planes + k * plane + u * size.batch * G;
      Real* to = line + k * G;
      copy_groups(G, size.batch, from, G, to, weights.padded);
    }
    if (columns.delta)
      copy_groups(D, size.batch, gradient.error + u * size.batch * D, D, line + columns.planes * G,
                  weights.padded);
    one.g = line;
    kernels_.convolutions.backward(one, shared_.kernel_of(thread));
  });
}

template <class Real>
void HiddenNetwork<Real>::convolve_backward(const HiddenSize& size, std::size_t i,
                                            const HiddenKept<Real>& kept, const Real* g, Real* d_input,
                                            const Real* skip, Real* per_unit) const {
  auto& weights = convolution(i);
  auto pass = backward_pass(weights, size.units, size.batch);
  pass.axis = i % kPerBlock == 0 ? Axis::batch : Axis::units;
  pass.g = g;
  shared_.behind_norm(pass, kept.z[i], kept.norm[i], size.units * size.batch, weights.beta.data(),
                      weights.d_beta.data());
  pass.source = source(i, kept);
  pass.d_input = d_input;
  pass.skip = skip;
  shared_.sum_for_norm(pass);
  pass.per_unit = per_unit;
  run_pass(kernels_, shared_, pass);
}

/// forward: per_unit = constants · weights.
template <class Real>
void HiddenNetwork<Real>::constants_backward(const HiddenSize& size, const HiddenKept<Real>& kept,
                                             const Real* per_unit, Real* d_weights, Real* d_constants) const {
  Product<Real> by_weight;
  by_weight.m = kConstantChannels;
  by_weight.n = 3 * padded();
  by_weight.k = size.units;
  by_weight.a = View<Real>{kept.constants, kConstantChannels, 1}.transposed();
  by_weight.b = {per_unit, 3 * padded(), 1};
  by_weight.c = d_weights;
  by_weight.c_row = 3 * padded();
  kernels_.products.multiply(by_weight, shared_.kernel);
  for (std::size_t k = 0; k < parameters_.d_constant_weights.size(); ++k)
    parameters_.d_constant_weights[k] += static_cast<double>(d_weights[k]);

  Product<Real> by_constant;
  by_constant.m = size.units;
  by_constant.n = kConstantChannels;
  by_constant.k = 3 * padded();
  by_constant.a = {per_unit, 3 * padded(), 1};
  by_constant.b = View<Real>{parameters_.constant_weights.data(), 3 * padded(), 1}.transposed();
  by_constant.c = d_constants;
  by_constant.c_row = kConstantChannels;
  kernels_.products.multiply(by_constant, shared_.kernel);
}

template <class Real>
void HiddenNetwork<Real>::backward(const HiddenSize& size, const Real* z, const HiddenKept<Real>& kept,
                                   const HiddenGradient<Real>& gradient, Real* workspace) const {
  const std::int64_t rows = size.units * size.batch, wide = std::max(padded(), padded_features());
  Arena<Real> arena(workspace, workspace_numbers(size));
  Real* const g = arena.take(rows * wide + kSlack);
  Real* const t = arena.take(rows * wide + kSlack);
  Real* const per_unit = arena.take(size.units * 3 * padded());
  Real* const lines = arena.take(line_numbers(size) * shared_.pool.threads());
  Real* const d_weights = arena.take(kConstantChannels * 3 * padded());

  // 1. readouts, then block by block; the gradient of a block's output also bypasses its two unit
  // convolutions
  shared_.enter(Part::readouts);
  read_backward(size, kept, gradient, lines, g);
  shared_.enter(Part::convolutions);
  for (std::size_t i = kept.z.size(); i > 0; i -= kPerBlock) {
    convolve_backward(size, i - 1, kept, g, t, nullptr, nullptr);
    convolve_backward(size, i - 2, kept, t, g, g, nullptr);
    if (i > kPerBlock) convolve_backward(size, i - 3, kept, g, g, nullptr, nullptr);
  }
  convolve_backward(size, 0, kept, g, t, nullptr, per_unit);
  shared_.enter(Part::rest);
  constants_backward(size, kept, per_unit, d_weights, gradient.constants);

  // 2. the features' batch norm, x, z, d and their contribution to δ
  auto& norm = shared_.norm_gradient;
  norm.finish(shared_.sums, rows, parameters_.features_beta.data(), padded_features(), kept.norm_f,
              parameters_.d_features_beta.data());
  FeaturesBackward<Real> features;
  features.units = size.units;
  features.batch = size.batch;
  features.delta = parameters_.size().delta_channels;
  features.padded = padded_features();
  features.g = t;
  features.f = kept.f;
  features.a = norm.a.data();
  features.b = norm.b.data();
  features.c = norm.c.data();
  features.z = z;
  features.d_error = gradient.error;
  features.inverse_rms = kept.inverse_rms;
  features.d_d = gradient.d;
  features.d_row = gradient.d_row;
  features.d_x = gradient.x;
  features.d_z = gradient.z;
  shared_.pool.for_blocks(size.units, [&](std::int64_t first, std::int64_t last, int thread) {
    FeaturesBackward<Real> part = features;
    part.first = first;
    part.last = last;
    kernels_.signals.features_backward(part, shared_.kernel_of(thread));
  });
}

template struct HiddenKept<float>;
template struct HiddenKept<double>;
template class HiddenNetwork<float>;
template class HiddenNetwork<double>;

}  // namespace outerloop::rule::fused
