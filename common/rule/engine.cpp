#include "common/rule/engine.h"

namespace outerloop::rule {

const char* outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::finished:
      return "finished";
    case Outcome::dead_features:
      return "dead_features";
    case Outcome::not_finite:
      return "not_finite";
  }
  return "unknown";
}

Layout Engine::phi_layout(const Architecture& architecture) { return rule::phi_layout(rule(), architecture); }

std::vector<double> Engine::initial_phi(const Architecture& architecture, std::uint64_t seed,
                                        std::uint32_t stream, std::uint32_t task) {
  return rule::initial_phi(phi_layout(architecture), seed, stream, task);
}

FrozenStatistics Engine::calibrate(const Architecture& architecture, const std::vector<double>&,
                                   const std::vector<double>& phi, const Matrix& inputs) {
  return frozen_statistics(rule(), architecture, phi, inputs);
}

Matrix Engine::features(const Architecture& architecture, const std::vector<double>&,
                        const std::vector<double>& phi, const FrozenStatistics& statistics,
                        const Matrix& inputs) {
  return rule::features(rule(), architecture, phi, statistics, inputs);
}

std::vector<TruncationResult> Engine::truncations(const Architecture& architecture,
                                                  const std::vector<double>& theta,
                                                  const std::vector<TruncationLane>& lanes) {
  std::vector<TruncationResult> results;
  results.reserve(lanes.size());
  for (const auto& lane : lanes) results.push_back(truncation(architecture, theta, lane.phi, lane.steps));
  return results;
}

std::vector<std::vector<double>> Engine::unrolls(const Architecture& architecture,
                                                 const std::vector<double>& theta,
                                                 const std::vector<UnrollLane>& lanes) {
  std::vector<std::vector<double>> results;
  results.reserve(lanes.size());
  for (const auto& lane : lanes) results.push_back(unroll(architecture, theta, lane.phi, lane.minibatches));
  return results;
}

std::vector<double> Engine::meta_objectives(const Architecture& architecture,
                                            const std::vector<double>& theta,
                                            const std::vector<ObjectiveLane>& lanes) {
  std::vector<double> results;
  results.reserve(lanes.size());
  for (const auto& lane : lanes) results.push_back(meta_objective(architecture, theta, lane.phi, lane.step));
  return results;
}

}  // namespace outerloop::rule
