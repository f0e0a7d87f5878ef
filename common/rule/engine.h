#pragma once
// Engine interface: (θ, φ, minibatches of k inner steps, labelled minibatches) →
// (meta-objective, ∂/∂θ, φ after k steps). Two engines exist: `reference` in LibTorch, and `fused`.
// All numbers cross this interface as doubles, so that float64 engines lose nothing; an engine rounds them to
// its own precision on entry.
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/rule/base_model.h"
#include "common/rule/phi.h"
#include "common/rule/theta.h"

namespace outerloop::rule {

enum class EngineKind { fused, reference };
enum class Precision { float32, mixed, float64 };

/// No defaults here; they are in config.proto (config::default_engine). An empty device or instruction set,
/// and 0 threads, are rejected.
struct EngineOptions {
  EngineKind kind{};
  Precision precision{};
  std::string device;           ///< cpu | cuda | cuda:i
  std::string instruction_set;  ///< auto | avx512 | avx2 | sse4 | baseline (fused only)
  /// Kept activations and φ of one call. 0: automatic, 1,024 for fused; for reference on the CPU no limit, on
  /// cuda 80 % of the device.
  std::int64_t memory_budget_mib = 0;
  int threads = 0;
  int local_rank = 0;  ///< device "cuda" without an index is GPU local_rank modulo their number
};

/// Examples, one per row.
struct Batch {
  std::int64_t examples = 0;
  std::int64_t inputs = 0;
  std::int64_t targets = 0;  ///< columns of y; 0 where there are no labels
  std::vector<double> x;     ///< [examples, inputs], already permuted
  std::vector<double> y;     ///< [examples, targets]: one-hot classes, then regression targets
};

/// The data of one inner step of a truncation: the minibatch for the rule, and the two labelled minibatches
/// of the meta-objective that scores φ after the step.
struct StepData {
  Batch inner;  ///< its y is only for supervised rules
  Batch a;      ///< fits the ridge regression; supervised rules: unused, may be empty
  Batch b;      ///< is predicted; supervised rules: its cross-entropy is the meta-objective
};

enum class Outcome {
  finished,
  dead_features,  ///< every feature of the base model is zero: the meta-objective is 0/0
  not_finite,     ///< φ, the meta-objective or the gradient is no finite number
};
const char* outcome_name(Outcome outcome);

struct TruncationResult {
  Outcome outcome = Outcome::finished;
  std::vector<double> meta_objective;  ///< J_1 .. J_k: with φ after t steps; the starting φ is not counted.
                                       ///< Empty where features are dead
  double mean_meta_objective = 0.0;
  std::vector<double> d_theta;  ///< ∂ mean(J_1 .. J_k) / ∂θ, laid out as θ; empty unless finished
  std::vector<double> phi;      ///< φ after k steps; empty unless finished
};

/// The input of one of several tasks in a call of the engine (a lane); the call refers to it and does not
/// copy it. All lanes of a call share θ and the architecture.
struct TruncationLane {
  const std::vector<double>& phi;
  const std::vector<StepData>& steps;
};
struct UnrollLane {
  const std::vector<double>& phi;
  const std::vector<Batch>& minibatches;
};
struct ObjectiveLane {
  const std::vector<double>& phi;
  const StepData& step;
};

/// A rule bound to its sizes, a precision and a device. Not thread-safe; one per worker.
class Engine {
 public:
  virtual ~Engine() = default;

  virtual const RuleOptions& rule() const = 0;
  virtual const Layout& theta_layout() const = 0;

  /// φ's tensors for base models of this architecture. This function and the three below have the built-in
  /// rules' base model (phi.h, base_model.h) as their default.
  virtual Layout phi_layout(const Architecture& architecture);

  /// φ before the first inner step, drawn from (seed, stream, task).
  virtual std::vector<double> initial_phi(const Architecture& architecture, std::uint64_t seed,
                                          std::uint32_t stream, std::uint32_t task);

  /// What features() depends on beside φ and the row: statistics over all rows of `inputs` [examples, N_0],
  /// frozen. Throws Error where sizes do not fit.
  virtual FrozenStatistics calibrate(const Architecture& architecture, const std::vector<double>& theta,
                                     const std::vector<double>& phi, const Matrix& inputs);

  /// Features [examples, units] of every row of `inputs`, of a supervised rule those below the class scores
  /// (a module: the scores). Throws Error where sizes do not fit.
  virtual Matrix features(const Architecture& architecture, const std::vector<double>& theta,
                          const std::vector<double>& phi, const FrozenStatistics& statistics,
                          const Matrix& inputs);

  /// k = steps.size() >= 1 inner steps from φ, and the gradient of their mean meta-objective by θ in one
  /// reverse sweep (no stop-gradient inside; φ at the start is a constant). Sizes are checked: throws Error
  /// on a mismatch.
  virtual TruncationResult truncation(const Architecture& architecture, const std::vector<double>& theta,
                                      const std::vector<double>& phi, const std::vector<StepData>& steps) = 0;

  /// Inner steps without meta-objective or gradient: φ after one step on each minibatch, in order. It may
  /// hold numbers that are not finite. Throws Error on a mismatch of sizes.
  virtual std::vector<double> unroll(const Architecture& architecture, const std::vector<double>& theta,
                                     const std::vector<double>& phi,
                                     const std::vector<Batch>& minibatches) = 0;

  /// The meta-objective of the present φ on (a, b); NaN if the features are dead. Throws Error on a mismatch
  /// of sizes.
  virtual double meta_objective(const Architecture& architecture, const std::vector<double>& theta,
                                const std::vector<double>& phi, const StepData& step) = 0;

  /// The same for several lanes: one result each, in their order. An engine may compute them together; lanes
  /// of one call then have as many steps as one another and inner minibatches of one size, else Error. Their
  /// labelled minibatches may differ in classes and examples. What one lane holds never changes another's
  /// outcome. Defaults: one call of the single form per lane.
  virtual std::vector<TruncationResult> truncations(const Architecture& architecture,
                                                    const std::vector<double>& theta,
                                                    const std::vector<TruncationLane>& lanes);
  virtual std::vector<std::vector<double>> unrolls(const Architecture& architecture,
                                                   const std::vector<double>& theta,
                                                   const std::vector<UnrollLane>& lanes);
  virtual std::vector<double> meta_objectives(const Architecture& architecture,
                                              const std::vector<double>& theta,
                                              const std::vector<ObjectiveLane>& lanes);

  /// e.g. "reference float32 cpu, 1 thread, LibTorch 1.13.1"
  virtual std::string description() const = 0;

  /// The instruction set whose bits this engine produces; ranks of a deterministic run must agree.
  virtual std::string instruction_set() const = 0;

  /// From now on `act` (may be empty) is called on the caller's thread after each inner step of a truncation,
  /// forward and backward, and of an unroll. What it throws ends that call, and leaves the engine as good as
  /// new. supervised_sgd on cuda calls it forward alone.
  void set_after_step(std::function<void()> act) { after_step_ = std::move(act); }

 protected:
  void step_done() const {
    if (after_step_) after_step_();
  }

 private:
  std::function<void()> after_step_;
};

}  // namespace outerloop::rule
