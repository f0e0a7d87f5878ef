#include "common/rule/fused/update_rule.h"

#include <algorithm>

namespace outerloop::rule::fused {
namespace {

template <class Real>
std::int64_t most_channels(Parameters<Real>& p) {
  std::int64_t most = std::max({p.top_in.padded, p.top_out.padded, p.hidden.front().in.padded,
                                static_cast<std::int64_t>(p.features_beta.size()), p.lanes()});
  for (const auto position : {Position::bottom, Position::middle, Position::top})
    most = std::max(most, p.readouts(position).padded);
  return most;
}

}  // namespace

template <class Real>
UpdateRule<Real>::UpdateRule(const NeuronLocalSize& size, const Layout& theta_layout, InstructionSet set,
                             bool mixed, ThreadPool& pool)
    : kernels_(set, mixed, pool),
      parameters_(size, theta_layout, kernels_.lanes),
      shared_(most_channels(parameters_), pool),
      base_model_(set, &pool),
      top_(kernels_, parameters_, shared_),
      hidden_(kernels_, parameters_, shared_),
      weight_change_(set, &pool) {}

template <class Real>
HiddenSize UpdateRule<Real>::hidden_size(std::size_t l) const {
  return {units(l), batch_, l == 0 ? Position::bottom : l == layers() ? Position::top : Position::middle};
}

template <class Real>
WeightChangeSize UpdateRule<Real>::change_size(std::size_t l) const {
  return {units(l - 1), units(l), batch_, parameters_.size().readout_channels};
}

/// Numbers per example of d^l before its normalisation.
template <class Real>
std::int64_t UpdateRule<Real>::d_row(std::size_t l) const {
  return l == layers() ? parameters_.top_out.padded : parameters_.size().delta_channels;
}

template <class Real>
void UpdateRule<Real>::prepare(const Architecture& architecture, std::int64_t batch) {
  if (architecture == architecture_ && batch == batch_) return;
  architecture_ = architecture;
  batch_ = batch;
  waves_.resize(layers() + 1);
  for (std::size_t l = 0; l <= layers(); ++l) {
    waves_[l].resize(static_cast<std::size_t>(2 * units(l)));
    identity_waves(units(l), waves_[l].data());
  }
}

template <class Real>
StepKept<Real> UpdateRule<Real>::take_kept(Arena<Real>& arena) const {
  StepKept<Real> kept;
  kept.activations = Activations<Real>::take(arena, architecture_, batch_);
  arena.take(kSlack);
  for (std::size_t l = 0; l <= layers(); ++l) {
    kept.standard.push_back(arena.take(units(l) * batch_));
    kept.standard_rstd.push_back(arena.take(units(l)));
    kept.statistics_scale.push_back(arena.take(1));
    kept.hidden.push_back(HiddenKept<Real>::take(arena, parameters_, hidden_size(l)));
  }
  for (std::size_t l = 1; l <= layers(); ++l) {
    kept.by_column.push_back(arena.take(units(l) * kStatistics));
    kept.by_row.push_back(arena.take(units(l - 1) * kStatistics));
    kept.weight_change.push_back(arena.take(weight_change_.kept_numbers(change_size(l))));
    if (parameters_.size().separate_backward_readouts)
      kept.backward_change.push_back(arena.take(weight_change_.kept_numbers(change_size(l))));
  }
  kept.top = TopKept<Real>::take(arena, parameters_, batch_);
  arena.take(kSlack);
  return kept;
}

template <class Real>
void UpdateRule<Real>::take_workspace(Arena<Real>& arena, bool with_backward) {
  std::int64_t widest = 0, largest = 0, part = top_.workspace_numbers(batch_);
  std::int64_t kernel = top_.kernel_numbers(batch_);
  const std::int64_t error_row =
      std::max(parameters_.top_out.padded, parameters_.size().delta_channels) * batch_;
  part = std::max(part, base_model_.workspace_numbers(architecture_, batch_));
  for (std::size_t l = 0; l <= layers(); ++l) {
    widest = std::max(widest, units(l));
    part = std::max(part, hidden_.workspace_numbers(hidden_size(l)));
    kernel = std::max(kernel, hidden_.kernel_numbers(hidden_size(l)));
    if (l == 0) continue;
    largest = std::max(largest, units(l - 1) * units(l));
    part = std::max(part, weight_change_.workspace_numbers(change_size(l)));
  }
  kernel = std::max(kernel, kernels_.products.workspace_per_thread(std::max(widest, error_row)));
  workspace_ = arena.take(part);
  shared_.kernel_numbers = aligned_numbers<Real>(kernel + kSlack);
  shared_.kernel = arena.take(shared_.kernel_numbers * shared_.pool.threads());
  d_ = arena.take(widest * error_row + kSlack);
  change_ = arena.take(largest);
  bias_ = arena.take(widest);
  if (!with_backward) return;
  const std::int64_t blocks = std::min(kMostBlocks, (widest + kBlockLines - 1) / kBlockLines);
  shared_.partial_weights = arena.take(blocks * parameters_.most_weights());
  d_error_ = arena.take(widest * error_row + kSlack);
  d_constants_ = arena.take(widest * kConstantChannels);
  auto &d_x = d_activations_.x, &d_z = d_activations_.z;
  for (auto* list : {&d_planes_, &d_means_, &d_x, &d_z, &d_standard_, &d_by_column_, &d_by_row_})
    list->clear();
  for (std::size_t l = 0; l <= layers(); ++l) {
    const auto size = hidden_size(l);
    const std::int64_t rows = units(l) * batch_;
    d_planes_.push_back(
        arena.take(parameters_.columns(size.position).planes * rows * parameters_.size().readout_channels));
    d_means_.push_back(arena.take(units(l) * parameters_.hidden.front().in.padded));
    d_standard_.push_back(arena.take(rows));
    // The gradients by the inputs are not needed.
    for (auto* list : {&d_x, &d_z}) list->push_back(l > 0 ? arena.take(rows) : nullptr);
    if (l == layers()) continue;
    d_by_column_.push_back(arena.take(units(l + 1) * kStatistics));
    d_by_row_.push_back(arena.take(units(l) * kStatistics));
  }
}

namespace {

template <std::size_t kCount, class Real>
std::array<Real*, kCount> planes_from(Real* planes, int first, std::int64_t plane) {
  std::array<Real*, kCount> result;
  for (std::size_t i = 0; i < kCount; ++i)
    result[i] = planes + (first + static_cast<std::int64_t>(i)) * plane;
  return result;
}

}  // namespace

template <class Real>
std::array<Real*, kUpperReadouts> UpdateRule<Real>::upper_planes(std::size_t l, bool backward,
                                                                 Real* planes) const {
  const auto columns = parameters_.columns(hidden_size(l).position);
  return planes_from<kUpperReadouts>(planes, backward ? columns.backward_upper : columns.upper,
                                     units(l) * batch_ * parameters_.size().readout_channels);
}

template <class Real>
std::array<Real*, kLowerReadouts> UpdateRule<Real>::lower_planes(std::size_t l, bool backward,
                                                                 Real* planes) const {
  const auto columns = parameters_.columns(hidden_size(l).position);
  return planes_from<kLowerReadouts>(planes, backward ? columns.backward_lower : columns.lower,
                                     units(l) * batch_ * parameters_.size().readout_channels);
}

/// Input of the weight change of layer l = 1 .. L; `backward`: for V, with its separate readouts.
template <class Real>
WeightChangeInput<Real> UpdateRule<Real>::change_input(std::size_t l, bool backward, const Real* W,
                                                       const StepKept<Real>& kept) const {
  WeightChangeInput<Real> input;
  input.W = W;
  const auto upper = upper_planes(l, backward, kept.hidden[l].planes);
  const auto lower = lower_planes(l - 1, backward, kept.hidden[l - 1].planes);
  std::copy(upper.begin(), upper.end(), input.upper.begin());
  std::copy(lower.begin(), lower.end(), input.lower.begin());
  input.x_upper = kept.standard[l];
  input.x_lower = kept.standard[l - 1];
  input.merge_w = parameters_.merge_w[backward].data();
  input.merge_b = parameters_.merge_b[backward];
  return input;
}

template <class Real>
void UpdateRule<Real>::statistics(const PhiPointers<Real>& phi, const StepKept<Real>& kept) {
  const std::size_t L = layers();
  for (std::size_t l = 0; l < L; ++l)
    weight_statistics(phi.W[l], units(l), units(l + 1), kept.by_column[l], kept.by_row[l], shared_.scratch);
  for (std::size_t l = 0; l <= L; ++l) {
    // At the top and at the bottom only one matrix exists: its statistics are used twice.
    const Real* incoming = l > 0 ? kept.by_column[l - 1] : kept.by_row[0];
    const Real* outgoing = l < L ? kept.by_row[l] : incoming;
    *kept.statistics_scale[l] =
        constant_channels(units(l), incoming, outgoing, l > 0 ? phi.b[l - 1] : nullptr, waves_[l].data(),
                          parameters_.identity_beta, kept.hidden[l].constants);
    kernels_.rows.standardise(units(l), batch_, kept.activations.x[l], kept.standard[l],
                              kept.standard_rstd[l]);
  }
}

/// W, b, V of layer l = 1 .. L.
template <class Real>
void UpdateRule<Real>::change_layer(std::size_t l, const PhiPointers<Real>& phi, const StepKept<Real>& kept,
                                    const PhiPointers<Real>& next) {
  const std::int64_t size = units(l - 1) * units(l);
  const auto eta = static_cast<Real>(parameters_.size().inner_step_size);
  const auto update = [&](std::int64_t count, const Real* from, const Real* change, Real* to) {
    for (std::int64_t i = 0; i < count; ++i) to[i] = (Real(1) - eta) * from[i] - eta * change[i];
  };
  weight_change_.forward(change_size(l), change_input(l, false, phi.W[l - 1], kept), change_,
                         kept.weight_change[l - 1], workspace_);
  update(size, phi.W[l - 1], change_, next.W[l - 1]);
  if (parameters_.size().separate_backward_readouts)
    weight_change_.forward(change_size(l), change_input(l, true, phi.V[l - 1], kept), change_,
                           kept.backward_change[l - 1], workspace_);
  update(size, phi.V[l - 1], change_, next.V[l - 1]);

  bias_change(units(l), parameters_.size().hidden_channels, parameters_.hidden.front().in.padded,
              kept.hidden[l].means, parameters_.bias_w.data(), parameters_.bias_b, bias_, shared_.scratch);
  update(units(l), phi.b[l - 1], bias_, next.b[l - 1]);
}

template <class Real>
void UpdateRule<Real>::forward(const PhiPointers<Real>& phi, const StepKept<Real>& kept,
                               const PhiPointers<Real>& next) {
  const std::size_t L = layers();
  // 1. the base model, and everything that depends on φ alone
  shared_.enter(Part::base_model);
  base_model_.forward(architecture_, static_cast<std::int64_t>(L), phi, kept.activations, workspace_);
  shared_.enter(Part::rest);
  statistics(phi, kept);

  // 2. down the layers: hidden states, readouts and the error signal of the layer below
  top_.forward(batch_, kept.activations.x[L], kept.top, d_, workspace_);
  for (std::size_t l = L;; --l) {
    hidden_.forward(hidden_size(l), kept.activations.x[l], kept.activations.z[l], d_, d_row(l),
                    kept.hidden[l], workspace_);
    if (l == 0) break;
    Product<Real> p;  // d^{l-1} = V^l δ^l
    p.m = units(l - 1);
    p.k = units(l);
    p.n = batch_ * parameters_.size().delta_channels;
    p.a = {phi.V[l - 1], p.k, 1};
    p.b = {kept.hidden[l].error, p.n, 1};
    p.c = d_;
    p.c_row = p.n;
    kernels_.products.multiply(p, shared_.kernel);
  }

  // 3. the changes
  shared_.enter(Part::weight_change);
  for (std::size_t l = 1; l <= L; ++l) change_layer(l, phi, kept, next);
  shared_.enter(Part::rest);
}

template <class Real>
void UpdateRule<Real>::clear_gradients() {
  for (std::size_t l = 0; l <= layers(); ++l) {
    for (auto* list : {&d_activations_.x, &d_activations_.z, &d_standard_})
      if ((*list)[l]) std::fill_n((*list)[l], units(l) * batch_, Real(0));
    if (l == layers()) continue;
    std::fill_n(d_by_column_[l], units(l + 1) * kStatistics, Real(0));
    std::fill_n(d_by_row_[l], units(l) * kStatistics, Real(0));
  }
}

template <class Real>
void UpdateRule<Real>::change_layer_backward(std::size_t l, const PhiPointers<Real>& phi,
                                             const StepKept<Real>& kept, const PhiPointers<Real>& d_phi) {
  const std::int64_t size = units(l - 1) * units(l);
  const auto eta = static_cast<Real>(parameters_.size().inner_step_size);
  const bool separate = parameters_.size().separate_backward_readouts;
  const auto run = [&](bool backward, const Real* W, const Real* change_kept, Real* dW) {
    WeightChangeGradient<Real> gradient;
    gradient.W = dW;
    gradient.upper = upper_planes(l, backward, d_planes_[l]);
    gradient.lower = lower_planes(l - 1, backward, d_planes_[l - 1]);
    gradient.x_upper = d_standard_[l];
    gradient.x_lower = l > 1 ? d_standard_[l - 1] : nullptr;
    gradient.merge_w = parameters_.d_merge_w[backward].data();
    gradient.merge_b = &parameters_.d_merge_b[backward];
    weight_change_.backward(change_size(l), change_input(l, backward, W, kept), change_kept, change_,
                            gradient, workspace_);
  };
  // forward: W' = (1 − η) W − η Δ, V' = (1 − η) V − η Δ with the same Δ, or one of its own
  Real *dW = d_phi.W[l - 1], *dV = d_phi.V[l - 1], *db = d_phi.b[l - 1];
  for (std::int64_t i = 0; i < size; ++i) change_[i] = -eta * (separate ? dW[i] : dW[i] + dV[i]);
  for (std::int64_t i = 0; i < size; ++i) dW[i] *= Real(1) - eta;
  run(false, phi.W[l - 1], kept.weight_change[l - 1], dW);
  if (separate)
    for (std::int64_t i = 0; i < size; ++i) change_[i] = -eta * dV[i];
  for (std::int64_t i = 0; i < size; ++i) dV[i] *= Real(1) - eta;
  if (separate) run(true, phi.V[l - 1], kept.backward_change[l - 1], dV);

  for (std::int64_t i = 0; i < units(l); ++i) {
    bias_[i] = -eta * db[i];
    db[i] *= Real(1) - eta;
  }
  bias_change_backward(units(l), parameters_.size().hidden_channels, parameters_.hidden.front().in.padded,
                       kept.hidden[l].means, parameters_.bias_w.data(), parameters_.bias_b, bias_,
                       Real(1) / static_cast<Real>(batch_), d_means_[l], parameters_.d_bias_w.data(),
                       &parameters_.d_bias_b, shared_.scratch);
}

/// From the gradient by d^{l-1} before its normalisation, in d_, to that by δ^l and V^l.
template <class Real>
void UpdateRule<Real>::send_up(std::size_t l, const PhiPointers<Real>& phi, const StepKept<Real>& kept,
                               const PhiPointers<Real>& d_phi) {
  const std::int64_t columns = batch_ * parameters_.size().delta_channels;
  Product<Real> p;  // forward: d = V δ
  p.m = units(l - 1);
  p.n = units(l);
  p.k = columns;
  p.a = {d_, columns, 1};
  p.b = View<Real>{kept.hidden[l].error, columns, 1}.transposed();
  p.c = d_phi.V[l - 1];
  p.c_row = units(l);
  p.accumulate = true;
  kernels_.products.multiply(p, shared_.kernel);
  p = {};
  p.m = units(l);
  p.n = columns;
  p.k = units(l - 1);
  p.a = View<Real>{phi.V[l - 1], units(l), 1}.transposed();
  p.b = {d_, columns, 1};
  p.c = d_error_;
  p.c_row = columns;
  kernels_.products.multiply(p, shared_.kernel);
}

template <class Real>
void UpdateRule<Real>::hidden_backward(std::size_t l, const StepKept<Real>& kept,
                                       const PhiPointers<Real>& d_phi) {
  const std::size_t L = layers();
  HiddenGradient<Real> gradient;
  gradient.planes = d_planes_[l];
  gradient.d = d_;
  gradient.d_row = d_row(l);
  gradient.constants = d_constants_;
  if (l > 0) {
    gradient.means = d_means_[l];
    gradient.error = d_error_;
    gradient.x = d_activations_.x[l];
    gradient.z = d_activations_.z[l];
  }
  hidden_.backward(hidden_size(l), kept.activations.z[l], kept.hidden[l], gradient, workspace_);
  Real* const d_incoming = l > 0 ? d_by_column_[l - 1] : d_by_row_[0];
  Real* const d_outgoing = l < L ? d_by_row_[l] : d_incoming;
  constant_channels_backward(units(l), kept.hidden[l].constants, *kept.statistics_scale[l], d_constants_,
                             d_incoming, d_outgoing, l > 0 ? d_phi.b[l - 1] : nullptr,
                             parameters_.d_identity_beta);
}

template <class Real>
void UpdateRule<Real>::backward(const PhiPointers<Real>& phi, const StepKept<Real>& kept,
                                const PhiPointers<Real>& d_phi) {
  const std::size_t L = layers();
  clear_gradients();

  // 1. the changes
  shared_.enter(Part::weight_change);
  for (std::size_t l = 1; l <= L; ++l) change_layer_backward(l, phi, kept, d_phi);

  // 2. up the layers
  shared_.enter(Part::rest);
  for (std::size_t l = 0; l <= L; ++l) {
    if (l > 0) send_up(l, phi, kept, d_phi);
    hidden_backward(l, kept, d_phi);
  }
  top_.backward(batch_, kept.activations.x[L], kept.top, d_, d_activations_.x[L], workspace_);

  // 3. everything that depends on φ alone, and the base model
  for (std::size_t l = 1; l <= L; ++l) {
    kernels_.rows.standardise_backward(units(l), batch_, kept.standard[l], kept.standard_rstd[l],
                                       d_standard_[l], d_activations_.x[l]);
    weight_statistics_backward(phi.W[l - 1], units(l - 1), units(l), kept.by_column[l - 1],
                               kept.by_row[l - 1], d_by_column_[l - 1], d_by_row_[l - 1], d_phi.W[l - 1],
                               shared_.scratch);
  }
  shared_.enter(Part::base_model);
  base_model_.backward(architecture_, static_cast<std::int64_t>(L), phi, kept.activations, d_activations_,
                       d_phi, workspace_);
  shared_.enter(Part::rest);
}

template struct StepKept<float>;
template struct StepKept<double>;
template class UpdateRule<float>;
template class UpdateRule<double>;

}  // namespace outerloop::rule::fused
