#include "common/rule/reference/neuron_local_engine.h"

#include <algorithm>

#include "common/base/error.h"
#include "common/rule/reference/translated.h"

namespace outerloop::rule::reference {
namespace {

/// "lane 3, " if there are several; empty otherwise.
std::string lane_name(std::size_t lane, std::size_t lanes) {
  return lanes > 1 ? "lane " + std::to_string(lane + 1) + ", " : "";
}

[[noreturn]] void fail_alike(std::size_t lane, const std::string& what) {
  throw Error("engine: lane " + std::to_string(lane + 1) + " has " + what +
              " than lane 1; lanes of one call have as many steps and minibatches of one size");
}

/// Calls `some(first, count)` for consecutive parts of `all` elements, `most` at a time.
template <class F>
void in_parts(std::size_t all, std::size_t most, const F& some) {
  for (std::size_t first = 0; first < all; first += most) some(first, std::min(most, all - first));
}

template <class T>
std::vector<T> part(const std::vector<T>& all, std::size_t first, std::size_t count) {
  std::vector<T> some;
  for (std::size_t i = first; i < first + count; ++i) some.push_back(all[i]);
  return some;
}

}  // namespace

NeuronLocalEngine::NeuronLocalEngine(const RuleOptions& rule, const EngineOptions& options)
    : TorchEngine(rule, options),
      packed_(rule.neuron_local, theta_layout()),
      budget_(memory_budget_bytes(options, tensor_options().device())) {}

LaneSetup NeuronLocalEngine::setup(const Architecture& architecture, const Layout& layout) const {
  return {rule().neuron_local, packed_, architecture, layout, tensor_options(), [this] { step_done(); }};
}

std::int64_t NeuronLocalEngine::lanes_at_once(std::size_t lanes, const Architecture& architecture,
                                              std::int64_t batch) const {
  const auto all = static_cast<std::int64_t>(lanes);
  if (!tensor_options().device().is_cpu()) return all;
  const auto item = static_cast<std::int64_t>(tensor_options().dtype().itemsize());
  return std::min(all, lanes_in_cache(rule().neuron_local, architecture, batch, item));
}

TruncationResult NeuronLocalEngine::truncation(const Architecture& architecture,
                                               const std::vector<double>& theta,
                                               const std::vector<double>& phi,
                                               const std::vector<StepData>& steps) {
  return truncations(architecture, theta, {{phi, steps}}).front();
}

std::vector<double> NeuronLocalEngine::unroll(const Architecture& architecture,
                                              const std::vector<double>& theta,
                                              const std::vector<double>& phi,
                                              const std::vector<Batch>& minibatches) {
  return unrolls(architecture, theta, {{phi, minibatches}}).front();
}

double NeuronLocalEngine::meta_objective(const Architecture& architecture, const std::vector<double>& theta,
                                         const std::vector<double>& phi, const StepData& step) {
  return meta_objectives(architecture, theta, {{phi, step}}).front();
}

std::vector<TruncationResult> NeuronLocalEngine::truncations(const Architecture& architecture,
                                                             const std::vector<double>& theta,
                                                             const std::vector<TruncationLane>& lanes) {
  for (std::size_t s = 0; s < lanes.size(); ++s) {
    check_state(rule(), theta_layout(), architecture, theta, lanes[s].phi);
    check_steps(rule(), architecture, lanes[s].steps);
    if (lanes[s].steps.size() != lanes[0].steps.size()) fail_alike(s, "another number of steps");
    for (std::size_t t = 0; t < lanes[s].steps.size(); ++t)
      if (lanes[s].steps[t].inner.examples != lanes[0].steps[t].inner.examples)
        fail_alike(s, "a " + minibatch_name(t) + " of another size");
  }
  if (lanes.empty()) return {};
  const Layout layout = rule::phi_layout(rule(), architecture);
  const auto item = static_cast<std::int64_t>(tensor_options().dtype().itemsize());
  std::int64_t batch = 0, labelled = 0;
  for (const auto& lane : lanes)
    for (const auto& step : lane.steps) {
      batch = std::max(batch, step.inner.examples);
      labelled = std::max(labelled, 2 * step.a.examples);
    }
  const auto plan =
      plan_memory(budget_, lanes_at_once(lanes.size(), architecture, batch),
                  static_cast<std::int64_t>(lanes[0].steps.size()),
                  step_bytes(rule().neuron_local, architecture, batch, labelled, item), layout.size() * item);
  const auto packed_theta = packed_.pack(theta);
  std::vector<TruncationResult> results;
  translated([&] {
    in_parts(lanes.size(), static_cast<std::size_t>(plan.lanes), [&](std::size_t first, std::size_t count) {
      for (auto& result : run_truncation(setup(architecture, layout), packed_theta, part(lanes, first, count),
                                         plan.kept_steps))
        results.push_back(std::move(result));
    });
  });
  return results;
}

std::vector<std::vector<double>> NeuronLocalEngine::unrolls(const Architecture& architecture,
                                                            const std::vector<double>& theta,
                                                            const std::vector<UnrollLane>& lanes) {
  for (std::size_t s = 0; s < lanes.size(); ++s) {
    check_state(rule(), theta_layout(), architecture, theta, lanes[s].phi);
    if (lanes[s].minibatches.size() != lanes[0].minibatches.size()) fail_alike(s, "another number of steps");
    for (std::size_t i = 0; i < lanes[s].minibatches.size(); ++i) {
      check_inner(rule(), architecture, lanes[s].minibatches[i],
                  lane_name(s, lanes.size()) + minibatch_name(i));
      if (lanes[s].minibatches[i].examples != lanes[0].minibatches[i].examples)
        fail_alike(s, "a " + minibatch_name(i) + " of another size");
    }
  }
  if (lanes.empty()) return {};
  const Layout layout = rule::phi_layout(rule(), architecture);
  const auto item = static_cast<std::int64_t>(tensor_options().dtype().itemsize());
  std::int64_t batch = 0;
  for (const auto& minibatch : lanes[0].minibatches) batch = std::max(batch, minibatch.examples);
  // One step at a time, without its graph.
  const auto plan =
      plan_memory(budget_, lanes_at_once(lanes.size(), architecture, batch), 1,
                  step_bytes(rule().neuron_local, architecture, batch, 0, item), layout.size() * item);
  const auto packed_theta = packed_.pack(theta);
  std::vector<std::vector<double>> results;
  translated([&] {
    in_parts(lanes.size(), static_cast<std::size_t>(plan.lanes), [&](std::size_t first, std::size_t count) {
      for (auto& phi : run_unroll(setup(architecture, layout), packed_theta, part(lanes, first, count)))
        results.push_back(std::move(phi));
    });
  });
  return results;
}

std::vector<double> NeuronLocalEngine::meta_objectives(const Architecture& architecture,
                                                       const std::vector<double>& theta,
                                                       const std::vector<ObjectiveLane>& lanes) {
  for (std::size_t s = 0; s < lanes.size(); ++s) {
    check_state(rule(), theta_layout(), architecture, theta, lanes[s].phi);
    check_labelled(rule(), architecture, lanes[s].step, lane_name(s, lanes.size()) + "meta-objective");
  }
  if (lanes.empty()) return {};
  const Layout layout = rule::phi_layout(rule(), architecture);
  return translated([&] { return run_objective(setup(architecture, layout), lanes); });
}

}  // namespace outerloop::rule::reference
