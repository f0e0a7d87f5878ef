#include "common/rule/fused/truncation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "common/rule/checks.h"

namespace outerloop::rule::fused {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

/// Examples [examples, inputs] as columns first .. of [inputs, columns].
template <class Real>
void transpose(const Batch& batch, Real* to, std::int64_t first, std::int64_t columns) {
  for (std::int64_t i = 0; i < batch.inputs; ++i)
    for (std::int64_t e = 0; e < batch.examples; ++e)
      to[i * columns + first + e] = static_cast<Real>(batch.x[index(e * batch.inputs + i)]);
}

template <class Real>
std::vector<double> as_double(const Real* values, std::int64_t count) {
  return {values, values + count};
}

RuleOptions neuron_local(const NeuronLocalSize& size) { return {"neuron_local", size, {}}; }

}  // namespace

template <class Real>
Truncation<Real>::Truncation(const NeuronLocalSize& size, const Layout& theta_layout, InstructionSet set,
                             bool mixed, std::int64_t budget, ThreadPool& pool)
    : rule_(size, theta_layout, set, mixed, pool),
      objective_(set, size.ridge, &pool),
      budget_(budget),
      options_(neuron_local(size)) {}

template <class Real>
PhiPointers<Real> Truncation<Real>::pointers(Real* phi) const {
  PhiPointers<Real> pointers;
  for (std::size_t i = 0; i < phi_layout_.tensors().size(); i += 3) {
    pointers.W.push_back(phi + phi_layout_.tensors()[i].offset);
    pointers.b.push_back(phi + phi_layout_.tensors()[i + 1].offset);
    pointers.V.push_back(phi + phi_layout_.tensors()[i + 2].offset);
  }
  return pointers;
}

/// Takes all memory from the arena, in the same order when measuring and when allocating. Returns the size of
/// one slot.
template <class Real>
std::int64_t Truncation<Real>::lay_out(Arena<Real>& arena, std::int64_t slots, bool record) {
  const std::int64_t states = sizes_.steps > 0 ? sizes_.steps + 1 : 2;
  phi_flat_.clear();
  for (std::int64_t t = 0; t < states; ++t) phi_flat_.push_back(arena.take(phi_layout_.size()));
  d_phi_flat_ = sizes_.steps > 0 ? arena.take(phi_layout_.size()) : nullptr;
  if (sizes_.labelled > 0) {
    labelled_ = arena.take(sizes_.architecture.inputs() * 2 * sizes_.labelled);
    Real* const workspace = arena.take(objective_.workspace_numbers(sizes_.architecture, sizes_.labelled));
    if (record) objective_.prepare(sizes_.architecture, sizes_.labelled, sizes_.targets, workspace);
  }
  if (sizes_.batch == 0) return 0;
  rule_.take_workspace(arena, sizes_.steps > 0);
  const std::int64_t before = arena.used();
  kept_.clear();
  for (std::int64_t s = 0; s < slots; ++s) kept_.push_back(rule_.take_kept(arena));
  return slots > 0 ? (arena.used() - before) / slots : 0;
}

/// Number of steps whose activations are kept: at least one, all if they fit.
template <class Real>
std::int64_t Truncation<Real>::slots_within_budget() {
  if (sizes_.steps <= 1) return 1;
  Arena<Real> measure;
  const std::int64_t slot = lay_out(measure, 1, false);
  const std::int64_t fixed = measure.used() - slot;
  const std::int64_t room = budget_ / static_cast<std::int64_t>(sizeof(Real)) - fixed;
  return std::clamp(room / slot, std::int64_t{1}, sizes_.steps);
}

template <class Real>
void Truncation<Real>::prepare(const Sizes& sizes) {
  if (sizes == sizes_) return;
  sizes_ = sizes;
  phi_layout_ = phi_layout(options_, sizes.architecture);
  if (sizes.batch > 0) rule_.prepare(sizes.architecture, sizes.batch);
  const std::int64_t slots = slots_within_budget();
  Arena<Real> measure;
  lay_out(measure, slots, false);
  buffer_.reserve(measure.used());
  Arena<Real> arena(buffer_.data(), buffer_.size());
  lay_out(arena, slots, true);
  phi_.clear();
  for (Real* flat : phi_flat_) phi_.push_back(pointers(flat));
  if (d_phi_flat_) d_phi_ = pointers(d_phi_flat_);
  y_a_.resize(index(sizes.labelled * sizes.targets));
  y_b_.resize(y_a_.size());
}

/// The last steps keep their activations from the forward sweep. The earlier ones share the first slot and
/// are recomputed in the reverse sweep, when slots have become free.
template <class Real>
std::size_t Truncation<Real>::slot(std::size_t t) const {
  const std::size_t recomputed = index(sizes_.steps) - kept_.size();
  return t < recomputed ? 0 : t - recomputed;
}

template <class Real>
void Truncation<Real>::step_forward(std::size_t t, const StepData& step, const StepKept<Real>& kept) {
  transpose(step.inner, kept.activations.x[0], 0, sizes_.batch);
  rule_.forward(phi_[t], kept, phi_[t + 1]);
}

template <class Real>
Evaluation Truncation<Real>::judge(std::size_t t, const StepData& step, double factor,
                                   const PhiPointers<Real>* d_phi) {
  rule_.shared().enter(Part::meta_objective);
  transpose(step.a, labelled_, 0, 2 * sizes_.labelled);
  transpose(step.b, labelled_, sizes_.labelled, 2 * sizes_.labelled);
  normalise_targets(step.a, y_a_.data());
  normalise_targets(step.b, y_b_.data());
  const auto evaluation = objective_.evaluate(phi_[t], {labelled_, y_a_.data(), y_b_.data()}, factor, d_phi);
  rule_.shared().enter(Part::rest);
  return evaluation;
}

/// φ is no longer finite: returns the outcome and the meta-objectives up to that step.
template <class Real>
TruncationResult Truncation<Real>::failed(const std::vector<StepData>& steps) {
  TruncationResult result;
  result.outcome = Outcome::not_finite;
  for (std::size_t t = 0; t < steps.size(); ++t) {
    const auto evaluation = judge(t + 1, steps[t], 0.0, nullptr);
    if (evaluation.dead) {
      result.outcome = Outcome::dead_features;
      result.meta_objective.clear();
      return result;
    }
    result.meta_objective.push_back(evaluation.value);
  }
  result.mean_meta_objective = std::numeric_limits<double>::quiet_NaN();
  return result;
}

template <class Real>
TruncationResult Truncation<Real>::run(const Architecture& architecture, const std::vector<double>& theta,
                                       const std::vector<double>& phi, const std::vector<StepData>& steps) {
  // 1. pack θ, copy φ_0
  const auto k = static_cast<std::int64_t>(steps.size());
  for (const auto& step : steps)
    if (step.inner.examples != steps[0].inner.examples || step.b.examples != steps[0].b.examples ||
        step.b.targets != steps[0].b.targets)
      throw Error("engine: minibatches of one truncation differ in size");
  prepare({architecture, steps[0].inner.examples, steps[0].b.examples, steps[0].b.targets, k});
  rule_.parameters().load(theta);
  rule_.parameters().clear_gradient();
  for (std::size_t i = 0; i < phi.size(); ++i) phi_flat_[0][i] = static_cast<Real>(phi[i]);

  // 2. k inner steps
  const std::size_t recomputed = steps.size() - kept_.size();
  for (std::size_t t = 0; t < steps.size(); ++t) {
    step_forward(t, steps[t], kept_[slot(t)]);
    after_step_();
  }
  TruncationResult result;
  result.phi = as_double(phi_flat_.back(), phi_layout_.size());
  if (!all_finite(result.phi)) return failed(steps);

  // 3. one reverse sweep, which computes the meta-objective of each φ when it reaches it
  result.meta_objective.resize(steps.size());
  std::fill_n(d_phi_flat_, phi_layout_.size(), Real(0));
  bool dead = false;
  for (std::size_t t = steps.size(); t-- > 0;) {
    const auto evaluation = judge(t + 1, steps[t], 1.0 / static_cast<double>(k), &d_phi_);
    result.meta_objective[t] = evaluation.value;
    dead = dead || evaluation.dead;
    if (t < recomputed) step_forward(t, steps[t], kept_[0]);
    rule_.backward(phi_[t], kept_[slot(t)], d_phi_);
    after_step_();
  }
  if (dead) {
    result = {};
    result.outcome = Outcome::dead_features;
    return result;
  }
  for (const double value : result.meta_objective)
    result.mean_meta_objective += value / static_cast<double>(k);
  result.d_theta = rule_.parameters().gradient();
  drop_unless_finite(result);
  return result;
}

template <class Real>
std::vector<double> Truncation<Real>::unroll(const Architecture& architecture,
                                             const std::vector<double>& theta, const std::vector<double>& phi,
                                             const std::vector<Batch>& minibatches) {
  rule_.parameters().load(theta);
  std::vector<double> state = phi;
  for (std::size_t t = 0; t < minibatches.size();) {
    // Consecutive steps of the same size.
    prepare({architecture, minibatches[t].examples, 0, 0, 0});
    for (std::size_t i = 0; i < state.size(); ++i) phi_flat_[0][i] = static_cast<Real>(state[i]);
    std::size_t now = 0;
    for (; t < minibatches.size() && minibatches[t].examples == sizes_.batch; ++t, now = 1 - now) {
      transpose(minibatches[t], kept_[0].activations.x[0], 0, sizes_.batch);
      rule_.forward(phi_[now], kept_[0], phi_[1 - now]);
      after_step_();
    }
    state = as_double(phi_flat_[now], phi_layout_.size());
  }
  return state;
}

template <class Real>
double Truncation<Real>::meta_objective(const Architecture& architecture, const std::vector<double>& phi,
                                        const StepData& step) {
  prepare({architecture, 0, step.b.examples, step.b.targets, 0});
  for (std::size_t i = 0; i < phi.size(); ++i) phi_flat_[0][i] = static_cast<Real>(phi[i]);
  const auto evaluation = judge(0, step, 0.0, nullptr);
  return evaluation.dead ? std::nan("") : evaluation.value;
}

template class Truncation<float>;
template class Truncation<double>;

}  // namespace outerloop::rule::fused
