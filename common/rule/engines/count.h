#pragma once
// Counts the device operations of a truncation on LibTorch, without needing the device.
#include <vector>

#include "common/rule/engine.h"
#include "common/rule/operation_count.h"

namespace outerloop::rule {

/// Operations of one truncation of `lanes`, all side by side, in float32; the rule is neuron_local.
/// `on_meta`: on LibTorch's meta device, where tensors have shapes and no numbers, so that any size can be
/// counted; else on the CPU. Loads the library of the reference engine. Throws InputError where this build
/// has none.
OperationCount count_operations(const RuleOptions& rule, const Architecture& architecture,
                                const std::vector<double>& theta, const std::vector<TruncationLane>& lanes,
                                bool on_meta);

}  // namespace outerloop::rule
