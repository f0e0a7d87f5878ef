#include "common/rule/reference/lane_truncation.h"

#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "common/rule/checks.h"
#include "common/rule/reference/lane_phi.h"
#include "common/rule/reference/neuron_local.h"
#include "common/rule/reference/objective.h"
#include "common/rule/reference/transfer.h"

namespace outerloop::rule::reference {
namespace {

template <class Lane>
void append_phi(const std::vector<Lane>& lanes, std::vector<double>& numbers) {
  for (const auto& lane : lanes) numbers.insert(numbers.end(), lane.phi.begin(), lane.phi.end());
}

/// x of one lane's minibatch as [inputs, examples].
void append_transposed(const Batch& batch, std::vector<double>& numbers) {
  const std::size_t first = numbers.size();
  numbers.resize(first + batch.x.size());
  for (std::int64_t e = 0; e < batch.examples; ++e)
    for (std::int64_t i = 0; i < batch.inputs; ++i)
      numbers[first + static_cast<std::size_t>(i * batch.examples + e)] =
          batch.x[static_cast<std::size_t>(e * batch.inputs + i)];
}

/// Consecutive views of one flat tensor.
class Cursor {
 public:
  explicit Cursor(const Tensor& flat) : flat_(flat) {}
  Tensor next(at::IntArrayRef shape) {
    const std::int64_t size = c10::multiply_integers(shape);
    const Tensor view = flat_.narrow(0, first_, size).view(shape);
    first_ += size;
    return view;
  }

 private:
  Tensor flat_;
  std::int64_t first_ = 0;
};

/// θ [S, numbers], the same in every lane, as groups.
std::vector<Tensor> theta_groups(const PackedTheta& packed, const Tensor& theta, std::int64_t lanes,
                                 bool leaves) {
  auto groups = packed.split(theta.unsqueeze(0).expand({lanes, packed.size()}));
  for (auto& group : groups)
    if (group.defined() && leaves) group = group.detach().requires_grad_();
  return groups;
}

/// An inner step with its graph.
struct Step {
  Phi before;  ///< leaves; constants in the first step
  Phi after;
};

class LaneTruncation {
 public:
  LaneTruncation(const LaneSetup& setup, const std::vector<double>& packed_theta,
                 const std::vector<TruncationLane>& lanes)
      : setup_(setup), lanes_(static_cast<std::int64_t>(lanes.size())), steps_(lanes.front().steps.size()) {
    // 1. Copy all inputs to the device at once
    std::vector<double> numbers = packed_theta;
    const auto constants = LayerStacks::constants(setup.architecture.units);
    numbers.insert(numbers.end(), constants.begin(), constants.end());
    append_phi(lanes, numbers);
    for (std::size_t t = 0; t < steps_; ++t)
      for (const auto& lane : lanes) append_transposed(lane.steps[t].inner, numbers);
    std::vector<const StepData*> labelled;
    for (std::size_t t = 0; t < steps_; ++t)
      for (const auto& lane : lanes) labelled.push_back(&lane.steps[t]);
    const LabelledShape shape = labelled_shape(labelled);
    append_labelled(shape, labelled, numbers);

    Cursor cursor(load(numbers, setup.options));
    groups_ = theta_groups(setup.packed, cursor.next({setup.packed.size()}), lanes_, true);
    stacks_.emplace(setup.architecture.units, cursor.next({static_cast<std::int64_t>(constants.size())}));
    states_.push_back(split_phi(setup.phi_layout, cursor.next({lanes_, setup.phi_layout.size()})));
    for (std::size_t t = 0; t < steps_; ++t)
      minibatches_.push_back(
          cursor.next({lanes_, setup.architecture.inputs(), lanes.front().steps[t].inner.examples}));
    labelled_ = labelled_pairs(shape, cursor.next({shape.size()}));
  }

  std::vector<TruncationResult> run(std::int64_t kept_steps) {
    const NeuronLocal rule(setup_.size, setup_.packed, groups_, *stacks_);
    forward(rule, static_cast<std::size_t>(kept_steps));
    judge();
    reverse(rule);
    return results();
  }

 private:
  // 2. k inner steps; the last ones keep their graphs
  void forward(const NeuronLocal& rule, std::size_t kept_steps) {
    graphs_.resize(steps_);
    for (std::size_t t = 0; t < steps_; ++t) {
      if (t + kept_steps >= steps_) {
        graphs_[t] = with_graph(rule, t);
        states_.push_back(detached(graphs_[t].after));
      } else {
        const c10::NoGradGuard no_graph;
        states_.push_back(rule.step(states_[t], minibatches_[t], setup_.architecture.nonlinearity));
      }
      setup_.step_done();
    }
  }

  Step with_graph(const NeuronLocal& rule, std::size_t t) const {
    const c10::AutoGradMode graph(true);
    const Phi before = t > 0 ? as_leaves(states_[t]) : states_[t];
    return {before, rule.step(before, minibatches_[t], setup_.architecture.nonlinearity)};
  }

  // 3. All meta-objectives in one batch, and their gradients with respect to φ after each step
  void judge() {
    const c10::AutoGradMode graph(true);
    Phi all = stacked({states_.begin() + 1, states_.end()});
    std::vector<Tensor> leaves;
    for (std::size_t l = 0; l < all.W.size(); ++l) {
      all.W[l].requires_grad_();
      all.b[l].requires_grad_();
      leaves.insert(leaves.end(), {all.W[l], all.b[l]});
    }
    const auto objectives =
        ridge_objectives(all, labelled_, setup_.size.ridge, setup_.architecture.nonlinearity);
    const Tensor seed =
        at::full_like(objectives.value, 1.0 / static_cast<double>(steps_)).requires_grad_(false);
    d_objective_ = torch::autograd::grad({objectives.value}, leaves, {seed}, false, false, true);
    values_ = objectives.value.detach();
    features_ = objectives.features;
  }

  /// ∂ mean J / ∂ (W or b) of φ after step t + 1, through J of that step alone; undefined for V.
  Tensor own_gradient(std::size_t t, std::size_t tensor) const {
    if (tensor % 3 == 2) return {};
    const Tensor& all = d_objective_[2 * (tensor / 3) + tensor % 3];
    return all.defined() ? all.narrow(0, static_cast<std::int64_t>(t) * lanes_, lanes_) : all;
  }

  // 4. Reverse sweep from the last step to the first, accumulating θ's gradients
  void reverse(const NeuronLocal& rule) {
    const std::size_t tensors = 3 * states_.front().W.size();
    std::vector<Tensor> d_phi(tensors);
    for (std::size_t t = steps_; t-- > 0;) {
      Step step = graphs_[t].after.W.empty() ? with_graph(rule, t) : std::move(graphs_[t]);
      graphs_[t] = {};
      const auto after = list_of(step.after);
      std::vector<Tensor> outputs, seeds;
      for (std::size_t i = 0; i < tensors; ++i) {
        const Tensor seed = sum(d_phi[i], own_gradient(t, i));
        if (!seed.defined()) continue;
        outputs.push_back(after[i]);
        seeds.push_back(seed);
      }
      std::vector<Tensor> inputs;
      for (const auto& group : groups_)
        if (group.defined()) inputs.push_back(group);
      if (t > 0)
        for (const auto& tensor : list_of(step.before)) inputs.push_back(tensor);
      const auto gradients = torch::autograd::grad(outputs, inputs, seeds, false, false, true);
      std::size_t next = 0;
      std::vector<Tensor> d_groups;
      for (const auto& group : groups_)
        if (group.defined()) {
          const Tensor& d = gradients[next++];
          d_groups.push_back(d.defined() ? d : at::zeros_like(group));
        }
      d_theta_ = sum(d_theta_, join(d_groups));
      for (std::size_t i = 0; i < tensors && t > 0; ++i) d_phi[i] = gradients[next++];
      setup_.step_done();
    }
  }

  static Tensor sum(const Tensor& a, const Tensor& b) {
    if (!a.defined()) return b;
    return b.defined() ? a + b : a;
  }

  // 5. Copy all results back at once
  std::vector<TruncationResult> results() const {
    const auto phi = join(list_of(states_.back()));
    const auto numbers = store(at::cat({values_, features_.flatten(), phi.flatten(), d_theta_.flatten()}));
    const std::size_t S = static_cast<std::size_t>(lanes_), M = S * steps_;
    const double* features = numbers.data() + M;
    const double* states = features + 2 * M;
    const auto phi_size = static_cast<std::size_t>(setup_.phi_layout.size());
    const double* d_theta = states + S * phi_size;
    std::vector<TruncationResult> results(S);
    for (std::size_t s = 0; s < S; ++s) {
      TruncationResult& result = results[s];
      for (std::size_t m = s; m < M; m += S) {
        if (features[2 * m] == 0.0 || features[2 * m + 1] == 0.0) result.outcome = Outcome::dead_features;
        result.meta_objective.push_back(numbers[m]);
        result.mean_meta_objective += numbers[m] / static_cast<double>(steps_);
      }
      if (result.outcome == Outcome::dead_features) {
        result = {};
        result.outcome = Outcome::dead_features;
        continue;
      }
      result.phi.assign(states + s * phi_size, states + (s + 1) * phi_size);
      if (all_finite(result.phi))
        result.d_theta = setup_.packed.unpack(d_theta + s * static_cast<std::size_t>(setup_.packed.size()));
      drop_unless_finite(result);
    }
    return results;
  }

  const LaneSetup& setup_;
  std::int64_t lanes_;
  std::size_t steps_;
  std::vector<Tensor> groups_;
  Tensor d_theta_;  ///< [S, size of PackedTheta]
  std::optional<LayerStacks> stacks_;
  std::vector<Phi> states_;  ///< [t = 0..k]: φ after t steps, without a graph
  std::vector<Tensor> minibatches_;
  LabelledPairs labelled_;
  std::vector<Step> graphs_;
  std::vector<Tensor> d_objective_;
  Tensor values_, features_;
};

}  // namespace

std::vector<TruncationResult> run_truncation(const LaneSetup& setup, const std::vector<double>& packed_theta,
                                             const std::vector<TruncationLane>& lanes,
                                             std::int64_t kept_steps) {
  return LaneTruncation(setup, packed_theta, lanes).run(kept_steps);
}

std::vector<std::vector<double>> run_unroll(const LaneSetup& setup, const std::vector<double>& packed_theta,
                                            const std::vector<UnrollLane>& lanes) {
  const c10::NoGradGuard no_graph;
  const auto S = static_cast<std::int64_t>(lanes.size());
  std::vector<double> numbers = packed_theta;
  const auto constants = LayerStacks::constants(setup.architecture.units);
  numbers.insert(numbers.end(), constants.begin(), constants.end());
  append_phi(lanes, numbers);
  Cursor cursor(load(numbers, setup.options));
  const auto groups = theta_groups(setup.packed, cursor.next({setup.packed.size()}), S, false);
  const LayerStacks stacks(setup.architecture.units,
                           cursor.next({static_cast<std::int64_t>(constants.size())}));
  const NeuronLocal rule(setup.size, setup.packed, groups, stacks);
  Phi phi = split_phi(setup.phi_layout, cursor.next({S, setup.phi_layout.size()}));
  for (std::size_t t = 0; t < lanes.front().minibatches.size(); ++t) {
    std::vector<double> x;
    for (const auto& lane : lanes) append_transposed(lane.minibatches[t], x);
    const Tensor inputs =
        load(x, setup.options).view({S, setup.architecture.inputs(), lanes.front().minibatches[t].examples});
    phi = rule.step(phi, inputs, setup.architecture.nonlinearity);
    setup.step_done();
  }
  const auto all = store(join(list_of(phi)).flatten());
  std::vector<std::vector<double>> results;
  const auto size = static_cast<std::ptrdiff_t>(setup.phi_layout.size());
  for (std::int64_t s = 0; s < S; ++s)
    results.emplace_back(all.begin() + s * size, all.begin() + (s + 1) * size);
  return results;
}

std::vector<double> run_objective(const LaneSetup& setup, const std::vector<ObjectiveLane>& lanes) {
  const c10::NoGradGuard no_graph;
  const auto S = static_cast<std::int64_t>(lanes.size());
  std::vector<double> numbers;
  append_phi(lanes, numbers);
  std::vector<const StepData*> labelled;
  for (const auto& lane : lanes) labelled.push_back(&lane.step);
  const LabelledShape shape = labelled_shape(labelled);
  append_labelled(shape, labelled, numbers);
  Cursor cursor(load(numbers, setup.options));
  const Phi phi = split_phi(setup.phi_layout, cursor.next({S, setup.phi_layout.size()}));
  const auto data = labelled_pairs(shape, cursor.next({shape.size()}));
  const auto objectives = ridge_objectives(phi, data, setup.size.ridge, setup.architecture.nonlinearity);
  auto values = store(at::cat({objectives.value, objectives.features.flatten()}));
  for (std::size_t s = 0; s < lanes.size(); ++s)
    if (values[lanes.size() + 2 * s] == 0.0 || values[lanes.size() + 2 * s + 1] == 0.0)
      values[s] = std::nan("");
  values.resize(lanes.size());
  return values;
}

}  // namespace outerloop::rule::reference
