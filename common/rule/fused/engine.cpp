#include "common/rule/fused/engine.h"

#include <array>

#include "common/base/error.h"
#include "common/rule/checks.h"
#include "common/rule/fused/checked_engine.h"
#include "common/rule/fused/supervised_sgd.h"
#include "common/rule/fused/threads.h"
#include "common/rule/fused/truncation.h"

namespace outerloop::rule::fused {
namespace {

template <class Real>
class NeuronLocalEngine final : public CheckedEngine {
 public:
  NeuronLocalEngine(const EngineSetup& setup, std::int64_t budget)
      : CheckedEngine(setup, setup.options.threads),
        pool_(setup.options.threads),
        truncation_(setup.rule.neuron_local, theta_layout(), setup.instruction_set,
                    setup.options.precision == Precision::mixed, budget, pool_) {
    truncation_.set_after_step([this] { step_done(); });
  }

  std::int64_t arena_bytes() const override { return truncation_.arena_bytes(); }
  void set_profiler(Profiler* profiler) override { truncation_.set_profiler(profiler); }

 protected:
  TruncationResult checked_truncation(const Architecture& architecture, const std::vector<double>& theta,
                                      const std::vector<double>& phi,
                                      const std::vector<StepData>& steps) override {
    return truncation_.run(architecture, theta, phi, steps);
  }
  std::vector<double> checked_unroll(const Architecture& architecture, const std::vector<double>& theta,
                                     const std::vector<double>& phi,
                                     const std::vector<Batch>& minibatches) override {
    return truncation_.unroll(architecture, theta, phi, minibatches);
  }
  double checked_meta_objective(const Architecture& architecture, const std::vector<double>&,
                                const std::vector<double>& phi, const StepData& step) override {
    return truncation_.meta_objective(architecture, phi, step);
  }

 private:
  ThreadPool pool_;
  Truncation<Real> truncation_;
};

template <class Real>
class SgdEngine final : public CheckedEngine {
 public:
  /// Too small to parallelise: one thread computes, whatever engine.threads is.
  explicit SgdEngine(const EngineSetup& setup) : CheckedEngine(setup, 1) {}

  std::int64_t arena_bytes() const override { return bytes_; }

 protected:
  /// A labelled minibatch in the rule's layout; outputs beyond the task's classes are zero.
  struct Labelled {
    std::vector<Real> x, y;
    LabelledExamples<Real> view;

    Labelled(const Architecture& architecture, const Batch& batch) {
      const auto examples = static_cast<std::size_t>(batch.examples);
      const auto inputs = static_cast<std::size_t>(batch.inputs),
                 targets = static_cast<std::size_t>(batch.targets);
      x.resize(inputs * examples);
      y.resize(static_cast<std::size_t>(architecture.outputs()) * examples);
      for (std::size_t e = 0; e < examples; ++e) {
        for (std::size_t i = 0; i < inputs; ++i)
          x[i * examples + e] = static_cast<Real>(batch.x[e * inputs + i]);
        for (std::size_t c = 0; c < targets; ++c)
          y[c * examples + e] = static_cast<Real>(batch.y[e * targets + c]);
      }
      view = {batch.examples, x.data(), y.data()};
    }
  };

  static SupervisedSgd<Real> bind(const Architecture& architecture, const std::vector<double>& theta) {
    return {architecture, {theta[0], theta[1], theta[2], theta[3]}};
  }

  TruncationResult checked_truncation(const Architecture& architecture, const std::vector<double>& theta,
                                      const std::vector<double>& phi,
                                      const std::vector<StepData>& steps) override {
    const auto sgd = bind(architecture, theta);
    std::vector<std::vector<Real>> states = {{phi.begin(), phi.end()}};
    std::vector<Labelled> inner, judged;
    TruncationResult result;
    for (const auto& step : steps) {
      inner.emplace_back(architecture, step.inner);
      judged.emplace_back(architecture, step.b);
      states.emplace_back(phi.size());
      sgd.step(states[states.size() - 2].data(), inner.back().view, states.back().data());
      result.meta_objective.push_back(sgd.loss(states.back().data(), judged.back().view));
      step_done();
      result.mean_meta_objective += result.meta_objective.back() / static_cast<double>(steps.size());
    }
    bytes_ = static_cast<std::int64_t>(states.size() * phi.size() * sizeof(Real));
    result.phi.assign(states.back().begin(), states.back().end());
    if (all_finite(result.meta_objective) && all_finite(result.phi)) {
      std::vector<SgdStep<Real>> sweep;
      for (std::size_t t = 0; t < steps.size(); ++t)
        sweep.push_back({inner[t].view, judged[t].view, states[t].data(), states[t + 1].data()});
      const auto gradient = sgd.meta_gradient(sweep, [this] { step_done(); });
      result.d_theta.assign(gradient.begin(), gradient.end());
    }
    drop_unless_finite(result);
    return result;
  }

  std::vector<double> checked_unroll(const Architecture& architecture, const std::vector<double>& theta,
                                     const std::vector<double>& phi,
                                     const std::vector<Batch>& minibatches) override {
    const auto sgd = bind(architecture, theta);
    std::vector<Real> state(phi.begin(), phi.end());
    for (const auto& batch : minibatches) {
      const Labelled data(architecture, batch);
      sgd.step(state.data(), data.view, state.data());
      step_done();
    }
    return {state.begin(), state.end()};
  }

  double checked_meta_objective(const Architecture& architecture, const std::vector<double>& theta,
                                const std::vector<double>& phi, const StepData& step) override {
    const std::vector<Real> state(phi.begin(), phi.end());
    const Labelled data(architecture, step.b);
    return bind(architecture, theta).loss(state.data(), data.view);
  }

 private:
  std::int64_t bytes_ = 0;
};

/// The automatic memory budget.
constexpr std::int64_t kAutomaticMib = 1024;

template <template <class> class OfReal, class... Arguments>
std::unique_ptr<FusedEngine> in_precision(Precision precision, const Arguments&... arguments) {
  if (precision == Precision::float64) return std::make_unique<OfReal<double>>(arguments...);
  return std::make_unique<OfReal<float>>(arguments...);
}

std::unique_ptr<FusedEngine> make_neuron_local(const EngineSetup& setup) {
  const EngineOptions& options = setup.options;
  const std::int64_t mib = options.memory_budget_mib > 0 ? options.memory_budget_mib : kAutomaticMib;
  return in_precision<NeuronLocalEngine>(options.precision, setup, mib * (std::int64_t{1} << 20));
}

std::unique_ptr<FusedEngine> make_supervised_sgd(const EngineSetup& setup) {
  return in_precision<SgdEngine>(setup.options.precision, setup);
}

/// The engine class of each rule.
struct Maker {
  const char* rule;
  bool mixed;  ///< supports mixed precision
  std::unique_ptr<FusedEngine> (*make)(const EngineSetup& setup);
};
constexpr Maker kMakers[] = {
    {"neuron_local", true, make_neuron_local},
    {"supervised_sgd", false, make_supervised_sgd},
};

const Maker& maker_of(const RuleOptions& rule) {
  for (const Maker& maker : kMakers)
    if (rule.name == maker.rule) return maker;
  throw InputError("engine.kind: fused does not know the rule " + rule.name + "; take reference");
}

}  // namespace

std::unique_ptr<FusedEngine> make_fused_engine(const RuleOptions& rule, const EngineOptions& options) {
  check_rule(rule);
  check_threads(options.threads);
  check_memory_budget(options.memory_budget_mib);
  if (options.device != "cpu")
    throw InputError("device: '" + options.device +
                     "' needs engine.kind: reference; fused runs only on the cpu");
  const Maker& maker = maker_of(rule);
  if (options.precision == Precision::mixed && !maker.mixed)
    throw InputError("engine.precision: mixed exists for the neuron_local rule only; use float32 with " +
                     rule.name);
  return maker.make({rule, options, find_instruction_set(options.instruction_set)});
}

}  // namespace outerloop::rule::fused
