#include "common/rule/reference/memory_plan.h"

#include <algorithm>

namespace outerloop::rule::reference {

std::int64_t step_bytes(const NeuronLocalSize& size, const Architecture& architecture, std::int64_t batch,
                        std::int64_t labelled, std::int64_t item) {
  const std::int64_t C = size.hidden_channels, D = size.delta_channels, G = size.readout_channels;
  // Of one unit and example: features twice; per three convolutions their centred values, outputs and a sum;
  // readouts; three error signals; activations.
  const std::int64_t blocks = size.hidden_blocks + 1;
  const std::int64_t matrices = size.separate_backward_readouts ? 2 : 1;
  const std::int64_t per_row = 2 * (2 + D) + 7 * blocks * C + 15 * matrices * G + 3 * D + 6;
  std::int64_t rows = 0, weights = 0, units = 0;
  for (std::size_t l = 0; l < architecture.units.size(); ++l) {
    rows += architecture.units[l] * batch;
    units += architecture.units[l];
    if (l > 0) weights += architecture.units[l - 1] * architecture.units[l];
  }
  const std::int64_t top =
      architecture.outputs() * batch * (2 * (3 + size.top_layers) * size.top_channels + D);
  // The weight change keeps its twelve terms about five times; the labelled minibatches pass the base model.
  return item * (rows * per_row + top + 60 * matrices * weights + 8 * units * labelled);
}

MemoryPlan plan_memory(std::int64_t budget, std::int64_t lanes, std::int64_t steps,
                       std::int64_t bytes_of_step, std::int64_t bytes_of_phi) {
  const std::int64_t lane = steps * bytes_of_step + (steps + 1) * bytes_of_phi;
  if (budget <= 0 || budget / lane >= lanes) return {lanes, steps};
  if (budget >= lane) return {budget / lane, steps};
  // The step that is computed again needs room as well.
  const std::int64_t room = (budget - (steps + 1) * bytes_of_phi) / bytes_of_step - 1;
  return {1, std::clamp<std::int64_t>(room, 0, steps)};
}

}  // namespace outerloop::rule::reference
