#pragma once
// TorchScript export: a rule as a module that torch.jit.load reads without Outerloop. The reference engine's
// library, loaded on demand, writes it.
#include <string>
#include <vector>

#include "common/rule/kept_model.h"
#include "common/rule/theta.h"

namespace outerloop::rule {

/// The bytes of the module's file (conventionally .pt). θ is `theta`, laid out as theta_layout(rule) and
/// rounded to float32. Its methods: `init(sizes, seed)` gives φ, a list of {W, b, V}; `step(phi, x)` the φ
/// after an inner step on x [examples, inputs]; `calibrate(phi, x)` frozen statistics, `features(phi, x,
/// statistics)` [examples, units]. `metadata` is stored in the file as outerloop.json. Throws InputError for
/// a rule other than neuron_local, or where this build has no reference engine.
std::string torchscript_of(const RuleOptions& rule, const std::vector<double>& theta,
                           const std::string& metadata);

/// The same for a trained base model: `features(x)` [examples, units]. x is in the units of the file that the
/// model was trained on.
std::string model_torchscript_of(const KeptModel& model, const std::string& metadata);

}  // namespace outerloop::rule
