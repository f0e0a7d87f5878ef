#include "common/rule/reference/memory_plan.h"

#include <algorithm>

#include "common/rule/reference/weight_change.h"

namespace outerloop::rule::reference {

std::int64_t step_bytes(const NeuronLocalSize& size, const Architecture& architecture, std::int64_t batch,
                        std::int64_t labelled, std::int64_t item) {
  const std::int64_t C = size.hidden_channels, D = size.delta_channels, G = size.readout_channels;
  // Per unit and example: features and their windows; per three convolutions their centred values, outputs
  // and a sum, and the windows of the first; readouts; three error signals; activations.
  const std::int64_t blocks = size.hidden_blocks + 1;
  const std::int64_t matrices = size.separate_backward_readouts ? 2 : 1;
  const std::int64_t per_row =
      4 * (2 + D) + 7 * blocks * C + 3 * (blocks - 1) * C + 15 * matrices * G + 3 * D + 6;
  std::int64_t rows = 0, units = 0;
  for (const auto n : architecture.units) {
    rows += n * batch;
    units += n;
  }
  // Weights and readouts of the first layer, and of the others, padded to the size of the largest.
  const auto& all = architecture.units;
  std::int64_t weights = all[0] * all[1],
               readouts = (kLowerReadouts * all[0] + kUpperReadouts * all[1]) * G * batch;
  if (all.size() > 2) {
    const std::int64_t others = architecture.layers() - 1;
    const std::int64_t I = *std::max_element(all.begin() + 1, all.end() - 1),
                       J = *std::max_element(all.begin() + 2, all.end());
    weights += others * I * J;
    readouts += others * (kLowerReadouts * I + kUpperReadouts * J) * G * batch;
  }
  const std::int64_t most = *std::max_element(all.begin() + 1, all.end());
  const std::int64_t top =
      architecture.outputs() * batch * (2 * (3 + size.top_layers) * size.top_channels + D);
  // The weight change stores about five copies of its twelve terms; the labelled minibatches also pass the
  // base model.
  return item * (rows * per_row + top + matrices * (60 * weights + readouts) +
                 (architecture.layers() * most + all[0]) * batch + 8 * units * labelled);
}

std::int64_t lanes_in_cache(const NeuronLocalSize& size, const Architecture& architecture, std::int64_t batch,
                            std::int64_t item) {
  constexpr std::int64_t kBytes = std::int64_t{2} << 20;
  const auto& units = architecture.units;
  const std::int64_t hidden_state =
      *std::max_element(units.begin(), units.end()) * batch * size.hidden_channels * item;
  return std::max<std::int64_t>(1, kBytes / std::max<std::int64_t>(1, hidden_state));
}

MemoryPlan plan_memory(std::int64_t budget, std::int64_t lanes, std::int64_t steps,
                       std::int64_t bytes_of_step, std::int64_t bytes_of_phi) {
  const std::int64_t lane = steps * bytes_of_step + (steps + 1) * bytes_of_phi;
  if (budget <= 0 || budget / lane >= lanes) return {lanes, steps};
  if (budget >= lane) return {budget / lane, steps};
  // The recomputed step needs memory as well.
  const std::int64_t room = (budget - (steps + 1) * bytes_of_phi) / bytes_of_step - 1;
  return {1, std::clamp<std::int64_t>(room, 0, steps)};
}

}  // namespace outerloop::rule::reference
