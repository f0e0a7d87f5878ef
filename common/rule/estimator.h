#pragma once
// Estimators of a truncation's meta-gradient: backpropagation through its inner steps, evolution strategies
// (from perturbed θ alone), or a weighted mean of both.
//
// Truncated evolution strategies: for noise ε ~ N(0, σ² I), both members of an antithetic pair unroll the
// truncation from the stream's φ, with θ + ε and θ − ε, on the same minibatches and labels;
// g = ε (J₊ − J₋) / 2σ². Its mean is the truncated gradient of J smoothed over θ: like truncated
// backpropagation, it ignores the effect of θ on φ before the truncation.
// Persistent evolution strategies (Vicol, Metz and Sohl-Dickstein, ICML 2021): each member keeps its own φ
// from the task's first step on, and the noise of all truncations since then is summed, ξ = Σ ε; g = ξ (J₊ −
// J₋) / 2σ². Its mean is the untruncated gradient.
// Noise reuse (NRES: Li et al., NeurIPS 2023; ES-Single: Vicol, ICML 2023): each member keeps its own φ, too,
// but a pair keeps one ε for the whole task; g = ε (J₊ − J₋) / 2σ². Its mean is the untruncated gradient of J
// smoothed over one θ for all inner steps, and its noise does not grow with the truncations.
// J is the mean meta-objective over the truncation's inner
// steps; g is a mean over pairs.
#include <cstdint>
#include <string>
#include <vector>

#include "common/rule/engine.h"
#include "common/rule/random.h"

namespace outerloop::rule {

enum class EstimatorKind { backpropagation, evolution, persistent_evolution, noise_reuse };
const char* estimator_name(EstimatorKind kind);

struct EstimatorOptions {
  EstimatorKind kind{};
  double deviation = 0.0;  ///< σ of the noise on each number of θ, above 0; not for backpropagation
  std::int64_t pairs = 0;  ///< antithetic pairs per truncation, at least 1; not for backpropagation
  double backpropagation_share = 0.0;  ///< g = share · backpropagation's + (1 − share) · the other's, 0 .. 1

  /// Whether pairs have a state of their own between truncations.
  bool persistent() const {
    return kind == EstimatorKind::persistent_evolution || kind == EstimatorKind::noise_reuse;
  }
};

/// State of a pair of persistent evolution strategies, or of noise reuse, between two truncations.
struct PerturbedPair {
  std::vector<double> noise;      ///< ξ, or the one ε, laid out as θ
  std::vector<double> phi_plus;   ///< of the member that went by θ + ε
  std::vector<double> phi_minus;  ///< of the other
};

/// One truncation of a task. The objects that it refers to must outlive the call.
struct TruncationInput {
  const Architecture& architecture;
  const std::vector<double>& theta;
  const std::vector<double>& phi;      ///< at the truncation's beginning
  const std::vector<StepData>& steps;  ///< of its k inner steps
  Random random;                       ///< of the task and Purpose::perturbation
  std::uint32_t truncation = 0;        ///< index of the truncation within its task
};

/// The gradient of one truncation by the estimator in `options`; the result is that of Engine::truncation.
/// `pairs`: empty at the start of a task and for estimators without state; advanced in place if the outcome
/// is `finished`. Without backpropagation, meta_objective and mean_meta_objective are means over all members,
/// and the final φ is that of the unperturbed θ (evolution), or of the first pair's first member (persistent,
/// which has no unperturbed member). Throws Error where sizes do not match, and where a task's random numbers
/// are used up (a 32-bit counter: size of θ · pairs · truncations).
TruncationResult estimate_gradient(Engine& engine, const EstimatorOptions& options,
                                   const TruncationInput& input, std::vector<PerturbedPair>& pairs);

/// The same for tasks side by side (lanes), which have θ in common: one result each, in their order. One call
/// of the engine for all of them where it is backpropagation and they have one architecture; else one by one.
/// `pairs`: [lanes].
std::vector<TruncationResult> estimate_gradients(Engine& engine, const EstimatorOptions& options,
                                                 const std::vector<TruncationInput>& lanes,
                                                 std::vector<std::vector<PerturbedPair>>& pairs);

}  // namespace outerloop::rule
