#include "common/rule/reference/module_checks.h"

#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/inliner.h>

#include <cmath>
#include <optional>
#include <set>

#include "common/base/error.h"
#include "common/rule/random.h"

namespace outerloop::rule::reference {
namespace {

constexpr std::int64_t kDefaultOutputUnits = 32;
constexpr std::int64_t kMostOutputUnits = 4096;

using Types = std::vector<c10::TypePtr>;

c10::TypePtr tensor_type() { return c10::TensorType::get(); }
c10::TypePtr tensors_type() { return c10::ListType::ofTensors(); }
c10::TypePtr phi_type() {
  return c10::ListType::create(c10::DictType::create(c10::StringType::get(), tensor_type()));
}

/// `written` is the method as the page shows it.
void check_signature(const ScriptedModule& module, const char* method, const Types& arguments,
                     const c10::TypePtr& result, const std::string& written) {
  const auto& schema = module.module().get_method(method).function().getSchema();
  const auto given = schema.arguments().size() - 1;  // without self
  bool right = given == arguments.size() && schema.returns().size() == 1 &&
               schema.returns()[0].type()->isSubtypeOf(*result);
  for (std::size_t i = 0; right && i < given; ++i)
    right = arguments[i]->isSubtypeOf(*schema.arguments()[i + 1].type());
  if (right) return;
  std::string types;
  for (std::size_t i = 1; i <= given; ++i)
    types += (i > 1 ? ", " : "") + schema.arguments()[i].type()->annotation_str();
  module.refuse("has the method " + std::string(method) + "(" + types + ") -> " +
                (schema.returns().empty() ? "None" : schema.returns()[0].type()->annotation_str()) +
                ", but " + written + " is wanted");
}

void check_methods(const ScriptedModule& module, bool supervised) {
  for (const char* method : {"init", "step", "features"})
    if (!module.has_method(method))
      module.refuse(std::string("lacks the method ") + method +
                    (module.has_method("forward")
                         ? "; mark it with @torch.jit.export (a module of torch.jit.trace has forward alone: "
                           "use torch.jit.script)"
                         : "; mark it with @torch.jit.export and use torch.jit.script"));
  check_signature(module, "init", {c10::ListType::ofInts(), c10::IntType::get()}, phi_type(),
                  "init(sizes: List[int], seed: int) -> List[Dict[str, Tensor]]");
  Types step{phi_type(), tensor_type()};
  if (supervised) step.push_back(tensor_type());
  check_signature(module, "step", step, phi_type(),
                  supervised ? "step(phi, x, y) -> phi, with supervised = True,"
                             : "step(phi, x) -> phi, without labels unless supervised = True,");
  Types features{phi_type(), tensor_type()};
  if (module.has_method("calibrate")) {
    check_signature(module, "calibrate", features, tensors_type(), "calibrate(phi, x) -> List[Tensor]");
    features.push_back(c10::OptionalType::create(tensors_type()));
  }
  check_signature(
      module, "features", features, tensor_type(),
      module.has_method("calibrate")
          ? "features(phi, x, statistics: Optional[List[Tensor]] = None) -> Tensor, beside calibrate,"
          : "features(phi, x) -> Tensor");
  if (module.has_method("objective"))
    check_signature(module, "objective",
                    {phi_type(), tensor_type(), tensor_type(), tensor_type(), tensor_type()}, tensor_type(),
                    "objective(phi, x_a, y_a, x_b, y_b) -> Tensor");
}

void check_parameters(const ScriptedModule& module) {
  if (module.parameters().empty()) module.refuse("has no parameters: there is nothing to meta-train");
  for (const auto& parameter : module.parameters()) {
    if (parameter.tensor.scalar_type() != at::kFloat)
      module.refuse("has the parameter " + parameter.name + " of type " +
                    std::string(c10::toString(parameter.tensor.scalar_type())) + "; parameters are float32");
    if (parameter.tensor.numel() < 1)
      module.refuse("has the parameter " + parameter.name + " without numbers");
  }
  for (const auto& name : module.texts("zero_gradient")) {
    bool known = false;
    for (const auto& parameter : module.parameters()) known = known || parameter.name == name;
    if (!known) module.refuse("names " + name + " in zero_gradient, which is no parameter");
  }
}

/// Operations that draw from PyTorch's generators, without the underscore of their forms in place.
bool draws_random_numbers(const std::string& operation) {
  static const std::set<std::string> names{"rand",
                                           "rand_like",
                                           "randn",
                                           "randn_like",
                                           "randint",
                                           "randint_like",
                                           "randperm",
                                           "bernoulli",
                                           "multinomial",
                                           "normal",
                                           "uniform",
                                           "random",
                                           "exponential",
                                           "geometric",
                                           "cauchy",
                                           "log_normal",
                                           "poisson",
                                           "binomial",
                                           "rrelu",
                                           "rrelu_with_noise",
                                           "dropout",
                                           "feature_dropout",
                                           "alpha_dropout",
                                           "feature_alpha_dropout",
                                           "native_dropout",
                                           "manual_seed",
                                           "seed",
                                           "initial_seed",
                                           "_standard_gamma",
                                           "_sample_dirichlet",
                                           "_dirichlet_grad",
                                           "_fused_dropout"};
  const bool in_place = operation.size() > 1 && operation.back() == '_';
  return names.count(in_place ? operation.substr(0, operation.size() - 1) : operation) > 0;
}

/// Dropout that is switched by self.training, which eval() has switched off.
bool switched_off(const torch::jit::Node& node) {
  const std::string name = node.kind().toUnqualString();
  if (name.find("dropout") == std::string::npos || node.inputs().size() < 3) return false;
  const auto* source = node.inputs()[2]->node();
  return source->kind() == c10::prim::GetAttr && source->s(c10::attr::name) == "training";
}

std::optional<std::string> random_operation(const torch::jit::Block& block) {
  for (const auto* node : block.nodes()) {
    if (node->kind().is_aten() && draws_random_numbers(node->kind().toUnqualString()) && !switched_off(*node))
      return node->kind().toUnqualString();
    for (const auto* inner : node->blocks())
      if (auto found = random_operation(*inner)) return found;
  }
  return std::nullopt;
}

/// Whether torch.jit.trace wrote a part of it: a node's place in the sources is then the tracer's call stack.
bool is_traced(const torch::jit::Block& block) {
  for (const auto* node : block.nodes()) {
    if (node->sourceRange().str().find("_trace.py(") != std::string::npos) return true;
    for (const auto* inner : node->blocks())
      if (is_traced(*inner)) return true;
  }
  return false;
}

/// What is traced has the sizes and the branches of one call burnt in, and may work with others all the same.
void check_no_part_traced(const ScriptedModule& module) {
  for (const auto& part : module.module().named_modules())
    for (const auto& method : part.value.get_methods())
      if (is_traced(*method.graph()->block()))
        module.refuse((part.name.empty() ? "is traced" : "holds the traced submodule " + part.name) +
                      " (torch.jit.trace keeps the sizes and branches of one call); use torch.jit.script");
}

void check_inlined(const ScriptedModule& module) {
  for (const auto& method : module.module().get_methods()) {
    const auto graph = method.graph()->copy();
    torch::jit::Inline(*graph);
    if (is_traced(*graph->block()))
      module.refuse("calls a traced function in " + method.name() +
                    " (torch.jit.trace keeps the sizes and branches of one call); use torch.jit.script");
    if (const auto operation = random_operation(*graph->block()))
      module.refuse("uses a random generator in " + method.name() + " (" + *operation +
                    "); compute from the seed that init is given");
  }
}

Tensor random_numbers(std::int64_t rows, std::int64_t columns) {
  const Random random(0, static_cast<std::uint32_t>(rows), 0, Purpose::test);
  Tensor table = at::empty({rows, columns}, at::TensorOptions(at::kFloat));
  for (std::int64_t i = 0; i < table.numel(); ++i)
    table.data_ptr<float>()[i] = static_cast<float>(random.uniform(static_cast<std::uint32_t>(i)));
  return table;
}

Tensor one_hot(std::int64_t rows, std::int64_t classes) {
  Tensor y = at::zeros({rows, classes}, at::TensorOptions(at::kFloat));
  for (std::int64_t i = 0; i < rows; ++i) y.data_ptr<float>()[i * classes + i % classes] = 1.0f;
  return y;
}

State detached(const State& phi) {
  State list;
  for (const auto& tensor : phi) list.push_back(tensor.detach().requires_grad_());
  return list;
}

/// By themselves the rows have the features that they have among others.
void check_row_wise(ScriptedModule& module, const Layout& layout, const State& phi, const Tensor& x) {
  const auto statistics = module.calibrate(layout, phi, x);
  const auto* given = module.has_method("calibrate") ? &statistics : nullptr;
  const Tensor together = module.features(layout, phi, x, given);
  const Tensor alone = module.features(layout, phi, x.narrow(0, 0, 1), given);
  const double off = (together.narrow(0, 0, 1) - alone).abs().max().item<double>();
  const double largest = together.abs().max().item<double>();
  if (std::isfinite(largest) && !(off <= 1e-3 * largest))
    module.refuse(given == nullptr
                      ? "has features of a row that depend on the other rows; add calibrate(phi, x), "
                        "and its result as the third argument of features"
                      : "has features of a row that depend on the other rows although they are "
                        "given the statistics of calibrate");
}

/// Sizes at which a module is tried out.
struct TrySize {
  std::int64_t inputs, hidden, classes, rows;
};

/// Every method once.
void try_out(ScriptedModule& module, const TrySize& size) {
  const std::int64_t outputs = output_units_of(module);
  const std::vector<std::int64_t> units{size.inputs, size.hidden, outputs > 0 ? outputs : size.classes};
  const Layout layout = module.phi_layout(units);
  const Tensor x = random_numbers(size.rows, size.inputs), y = one_hot(size.rows, size.classes);
  State phi = detached(module.init(layout, units, 1));
  for (int step = 0; step < 2; ++step) phi = detached(module.step(layout, phi, x, y));
  const Tensor features = module.features(layout, phi, x);
  const std::int64_t wanted = units.back();
  if (features.size(1) != wanted)
    module.refuse(
        "returns " + std::to_string(features.size(1)) + " features, but sizes end with " +
        std::to_string(wanted) +
        (output_units_of(module) > 0 ? " (its attribute output_units)" : " (a score for each class)"));
  if (output_units_of(module) > 0) check_row_wise(module, layout, phi, x);
  if (module.has_method("objective")) module.objective(layout, phi, {x, y, x, y});
}

/// The message of the failure, or nothing.
std::optional<std::string> failure(ScriptedModule& module, const TrySize& size) {
  try {
    try_out(module, size);
  } catch (const InputError& error) {
    return error.what();
  }
  return std::nullopt;
}

/// A traced module works for the shapes that it was traced with alone.
void check_at_two_sizes(ScriptedModule& module) {
  const auto first = failure(module, {7, 5, 3, 12});
  const auto second = failure(module, {11, 6, 4, 15});
  if (!first && !second) return;
  if (first && second) throw InputError(*first);
  throw InputError(
      *(first ? first : second) +
      " (at one of two sizes alone: shapes are burnt into a traced module, use torch.jit.script)");
}

}  // namespace

std::int64_t output_units_of(const ScriptedModule& module) {
  if (module.flag("supervised", false)) return 0;
  const std::int64_t units = module.integer("output_units", kDefaultOutputUnits);
  if (units < 1 || units > kMostOutputUnits)
    module.refuse("has the attribute output_units = " + std::to_string(units) + "; use 1 to " +
                  std::to_string(kMostOutputUnits));
  return units;
}

void check_module(ScriptedModule& module) {
  check_methods(module, module.flag("supervised", false));
  check_parameters(module);
  check_no_part_traced(module);
  check_inlined(module);
  check_at_two_sizes(module);
}

}  // namespace outerloop::rule::reference
