#pragma once
// The neuron-local rule, and a trained base model, as TorchScript methods.

namespace outerloop::rule::reference {

/// Methods of a module that has `theta()`, a dictionary of θ's tensors by name, and the attributes
/// inner_step_size, output_units, top_layers and hidden_blocks. Public: init, step, calibrate, features,
/// forward (which is features).
extern const char* const kTorchScriptSource;

/// Methods of a module that has `layers()`, a list of (W, b, mean, scale), the attributes kind and inputs,
/// and the buffers low, high and thresholds. Public: features, forward (which is features).
extern const char* const kModelTorchScriptSource;

}  // namespace outerloop::rule::reference
