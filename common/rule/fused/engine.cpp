#include "common/rule/fused/engine.h"

#include <array>
#include <cmath>

#include "common/rule/checks.h"
#include "common/rule/error.h"
#include "common/rule/fused/supervised_sgd.h"
#include "common/rule/fused/threads.h"
#include "common/rule/fused/truncation.h"

namespace outerloop::rule::fused {
namespace {

/// What both rules have in common: options, layout, checks at the door.
class CheckedEngine : public FusedEngine {
 public:
  CheckedEngine(const RuleOptions& rule, InstructionSet set, std::string precision, int threads)
      : rule_(rule),
        theta_layout_(rule::theta_layout(rule)),
        instruction_set_(instruction_set_name(set)),
        precision_(std::move(precision)),
        threads_(threads) {}

  const RuleOptions& rule() const override { return rule_; }
  const Layout& theta_layout() const override { return theta_layout_; }
  std::string instruction_set() const override { return instruction_set_; }
  std::string description() const override {
    return "fused " + precision_ + " cpu, " + std::to_string(threads_) +
           (threads_ == 1 ? " thread, " : " threads, ") + instruction_set_;
  }

  TruncationResult truncation(const Architecture& architecture, const std::vector<double>& theta,
                              const std::vector<double>& phi, const std::vector<StepData>& steps) override {
    check_state(rule_, theta_layout_, architecture, theta, phi);
    check_steps(rule_, architecture, steps);
    return checked_truncation(architecture, theta, phi, steps);
  }

  std::vector<double> unroll(const Architecture& architecture, const std::vector<double>& theta,
                             const std::vector<double>& phi, const std::vector<Batch>& minibatches) override {
    check_state(rule_, theta_layout_, architecture, theta, phi);
    for (std::size_t i = 0; i < minibatches.size(); ++i)
      check_inner(rule_, architecture, minibatches[i], minibatch_name(i));
    return checked_unroll(architecture, theta, phi, minibatches);
  }

  double meta_objective(const Architecture& architecture, const std::vector<double>& theta,
                        const std::vector<double>& phi, const StepData& step) override {
    check_state(rule_, theta_layout_, architecture, theta, phi);
    check_labelled(rule_, architecture, step, "meta-objective");
    return checked_meta_objective(architecture, theta, phi, step);
  }

 protected:
  virtual TruncationResult checked_truncation(const Architecture& architecture,
                                              const std::vector<double>& theta,
                                              const std::vector<double>& phi,
                                              const std::vector<StepData>& steps) = 0;
  virtual std::vector<double> checked_unroll(const Architecture& architecture,
                                             const std::vector<double>& theta, const std::vector<double>& phi,
                                             const std::vector<Batch>& minibatches) = 0;
  virtual double checked_meta_objective(const Architecture& architecture, const std::vector<double>& theta,
                                        const std::vector<double>& phi, const StepData& step) = 0;

 private:
  RuleOptions rule_;
  Layout theta_layout_;
  std::string instruction_set_, precision_;
  int threads_;
};

template <class Real>
class NeuronLocalEngine final : public CheckedEngine {
 public:
  NeuronLocalEngine(const RuleOptions& rule, InstructionSet set, const std::string& precision, bool mixed,
                    std::int64_t budget, int threads)
      : CheckedEngine(rule, set, precision, threads),
        pool_(threads),
        truncation_(rule.neuron_local, theta_layout(), set, mixed, budget, pool_) {}

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
  /// It is too small to share out: one thread computes, whatever engine.threads says.
  SgdEngine(const RuleOptions& rule, InstructionSet set, const std::string& precision)
      : CheckedEngine(rule, set, precision, 1) {}

  std::int64_t arena_bytes() const override { return bytes_; }
  void set_profiler(Profiler*) override {}  // its time is not taken apart

 protected:
  /// A labelled minibatch as the rule reads it; outputs beyond the task's classes are zero.
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
      result.mean_meta_objective += result.meta_objective.back() / static_cast<double>(steps.size());
    }
    bytes_ = static_cast<std::int64_t>(states.size() * phi.size() * sizeof(Real));
    result.phi.assign(states.back().begin(), states.back().end());
    if (all_finite(result.meta_objective) && all_finite(result.phi)) {
      std::vector<SgdStep<Real>> sweep;
      for (std::size_t t = 0; t < steps.size(); ++t)
        sweep.push_back({inner[t].view, judged[t].view, states[t].data(), states[t + 1].data()});
      const auto gradient = sgd.meta_gradient(sweep);
      result.d_theta.assign(gradient.begin(), gradient.end());
    }
    if (result.d_theta.empty() || !all_finite(result.d_theta)) {
      result.outcome = Outcome::not_finite;
      result.d_theta.clear();
      result.phi.clear();
    }
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

template <class Real>
std::unique_ptr<FusedEngine> make(const RuleOptions& rule, const EngineOptions& options, InstructionSet set,
                                  const std::string& precision) {
  const bool mixed = options.precision == Precision::mixed;
  if (rule.name == "supervised_sgd") {
    if (mixed)
      throw InputError(
          "engine.precision: mixed exists for the neuron_local rule only; use float32 with supervised_sgd");
    return std::make_unique<SgdEngine<Real>>(rule, set, precision);
  }
  return std::make_unique<NeuronLocalEngine<Real>>(
      rule, set, precision, mixed, options.memory_budget_mib * (std::int64_t{1} << 20), options.threads);
}

}  // namespace

std::unique_ptr<FusedEngine> make_fused_engine(const RuleOptions& rule, const EngineOptions& options) {
  check_rule(rule);
  check_threads(options.threads);
  if (options.device != "cpu")
    throw InputError("device: '" + options.device +
                     "' needs engine.kind: reference; fused runs on the cpu alone");
  const InstructionSet set = find_instruction_set(options.instruction_set);
  switch (options.precision) {
    case Precision::float32:
      return make<float>(rule, options, set, "float32");
    case Precision::float64:
      return make<double>(rule, options, set, "float64");
    case Precision::mixed:
      return make<float>(rule, options, set, "mixed");
  }
  throw InputError("engine.precision: unknown");
}

}  // namespace outerloop::rule::fused
