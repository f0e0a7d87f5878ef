#pragma once
// The neuron-local rule as TorchScript methods.

namespace outerloop::rule::reference {

/// Methods of a module that has `theta()`, a dictionary of θ's tensors by name, and the attributes
/// inner_step_size, output_units, top_layers and hidden_blocks. Public: init, step, features, forward (which
/// is features).
extern const char* const kTorchScriptSource;

}  // namespace outerloop::rule::reference
