#pragma once
// A TorchScript module as an update rule: loads it, and calls its methods on θ and φ as lists of tensors.
// Contract: docs/python-rules.md.
#include <ATen/ATen.h>
#include <torch/csrc/jit/api/module.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "common/rule/base_model.h"
#include "common/rule/layout.h"
#include "common/rule/phi.h"

namespace outerloop::rule::reference {

using at::Tensor;
using State = std::vector<Tensor>;  ///< φ in the order of its layout

/// A module that is run by the simple executor, in evaluation mode, with gradients on. Every function throws
/// InputError, one line, where the module fails. Not thread-safe.
class ScriptedModule {
 public:
  /// `name` begins error messages. The module is read onto the CPU, wherever it was saved.
  ScriptedModule(const std::string& bytes, std::string name);

  const std::string& name() const { return name_; }
  torch::jit::Module& module() { return module_; }
  const torch::jit::Module& module() const { return module_; }
  [[noreturn]] void refuse(const std::string& what) const;

  struct Parameter {
    std::string name;
    Tensor tensor;
  };
  /// In the order of named_parameters(), tied ones once.
  const std::vector<Parameter>& parameters() const { return parameters_; }
  std::vector<Tensor> tensors() const;
  /// Moves parameters and floating-point buffers.
  void move_to(const at::TensorOptions& options);
  /// Copies `theta`, a tensor for each parameter.
  void set_theta(const std::vector<Tensor>& theta, bool requires_grad);

  bool has_method(const char* name) const;
  bool takes_labels() const;  ///< step(φ, x, y)
  /// An attribute or constant of the module; `missing` where there is none. Throws for another type.
  bool flag(const char* name, bool missing) const;
  std::int64_t integer(const char* name, std::int64_t missing) const;
  double number(const char* name, double missing) const;
  std::vector<std::string> texts(const char* name) const;

  /// φ's layout for base models of these units, from what init returns.
  Layout phi_layout(const std::vector<std::int64_t>& units);
  State init(const Layout& layout, const std::vector<std::int64_t>& units, std::int64_t seed);
  /// `y` is passed on where the module takes it.
  State step(const Layout& layout, const State& phi, const Tensor& x, const Tensor& y);
  std::vector<Tensor> calibrate(const Layout& layout, const State& phi, const Tensor& x);
  /// [examples, units]; `statistics` may be null.
  Tensor features(const Layout& layout, const State& phi, const Tensor& x,
                  const std::vector<Tensor>* statistics = nullptr);
  Tensor objective(const Layout& layout, const State& phi, const std::vector<Tensor>& labelled);

 private:
  c10::IValue call(const char* method, std::vector<c10::IValue> arguments) const;
  const c10::IValue* find_value(const char* name, c10::IValue& storage) const;
  State matched(const Layout& layout, const c10::IValue& phi, const char* method) const;

  torch::jit::Module module_;
  std::string name_;
  std::vector<Parameter> parameters_;
};

}  // namespace outerloop::rule::reference
