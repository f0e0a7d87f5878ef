#include "common/rule/reference/transfer.h"

#include <algorithm>

#include "common/rule/error.h"

namespace outerloop::rule::reference {
namespace {

// Far beyond any base model, and small enough that the numbers of φ can be counted.
constexpr std::int64_t kMostLayers = 1000;
constexpr std::int64_t kMostUnits = std::int64_t{1} << 24;

[[noreturn]] void fail(const std::string& text) { throw Error("reference engine: " + text); }

void check_count(const std::string& what, std::size_t got, std::int64_t expected) {
  if (got != static_cast<std::size_t>(expected))
    fail(what + " has " + std::to_string(got) + " numbers, but its layout has " + std::to_string(expected));
}

void check_table(const std::string& what, const std::vector<double>& values, std::int64_t rows,
                 std::int64_t columns) {
  const auto width = static_cast<std::size_t>(columns);
  if (values.size() % width != 0 || values.size() / width != static_cast<std::size_t>(rows))
    fail(what + " has " + std::to_string(values.size()) + " numbers, which are not " + std::to_string(rows) +
         " x " + std::to_string(columns));
}

}  // namespace

void check_state(const RuleOptions& rule, const Layout& theta_layout, const Architecture& architecture,
                 const std::vector<double>& theta, const std::vector<double>& phi) {
  if (architecture.layers() < 1)
    fail("the base model has no layer; an architecture names inputs and outputs at least");
  if (architecture.layers() > kMostLayers)
    fail("the base model has " + std::to_string(architecture.layers()) + " layers; " +
         std::to_string(kMostLayers) + " are the most");
  for (const auto units : architecture.units)
    if (units < 1 || units > kMostUnits)
      fail("the base model " + architecture.description() + " has a layer of " + std::to_string(units) +
           " units");
  if (rule.name == "neuron_local" && architecture.outputs() != rule.neuron_local.output_units)
    fail("the base model " + architecture.description() + " has " + std::to_string(architecture.outputs()) +
         " outputs, but θ fixes output_units = " + std::to_string(rule.neuron_local.output_units));
  check_count("θ", theta.size(), theta_layout.size());
  check_count("φ of " + architecture.description(), phi.size(), phi_layout(rule, architecture).size());
}

void check_batch(const Architecture& architecture, const Batch& batch, const std::string& what,
                 bool with_labels) {
  if (batch.examples < 1) fail(what + " has no examples");
  if (batch.inputs != architecture.inputs())
    fail(what + " has " + std::to_string(batch.inputs) + " inputs per example, but the base model " +
         architecture.description() + " takes " + std::to_string(architecture.inputs()));
  check_table(what + ": x", batch.x, batch.examples, batch.inputs);
  if (!with_labels) return;
  if (batch.targets < 1) fail(what + " has no labels");
  check_table(what + ": y", batch.y, batch.examples, batch.targets);
}

std::vector<Tensor> load(const Layout& layout, const std::vector<double>& values,
                         const at::TensorOptions& options, bool requires_grad) {
  std::vector<Tensor> tensors;
  tensors.reserve(layout.tensors().size());
  for (const auto& spec : layout.tensors()) {
    // The blob is only read.
    auto* first = const_cast<double*>(values.data() + spec.offset);
    const Tensor view = at::from_blob(first, spec.shape, at::TensorOptions(at::kDouble));
    tensors.push_back(at::empty(spec.shape, options).copy_(view).requires_grad_(requires_grad));
  }
  return tensors;
}

Tensor load(const std::vector<double>& values, std::int64_t rows, std::int64_t columns,
            const at::TensorOptions& options) {
  auto* first = const_cast<double*>(values.data());
  const Tensor view = at::from_blob(first, {rows, columns}, at::TensorOptions(at::kDouble));
  return at::empty({rows, columns}, options).copy_(view);
}

std::vector<double> store(const Layout& layout, const std::vector<Tensor>& tensors) {
  std::vector<double> values(static_cast<std::size_t>(layout.size()), 0.0);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (!tensors[i].defined()) continue;
    const Tensor host = tensors[i].detach().to(at::TensorOptions(at::kDouble).device(at::kCPU)).contiguous();
    std::copy_n(host.data_ptr<double>(), host.numel(), values.begin() + layout.tensors()[i].offset);
  }
  return values;
}

}  // namespace outerloop::rule::reference
