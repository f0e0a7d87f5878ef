// Rules written in Python: a module as an engine, against the built-in engine, central differences and what
// it must not be.
#include <ATen/ATen.h>
#include <torch/csrc/jit/api/module.h>

#include <cstdio>
#include <sstream>

#include "common/rule/engines/make_engine.h"
#include "common/rule/engines/scripted_rule.h"
#include "common/rule/engines/torchscript.h"
#include "common/rule/rules.h"
#include "tests/catch.h"
#include "tests/refusal.h"
#include "tests/rule/problem.h"
#include "tests/rule_options.h"

namespace outerloop::tests {
namespace {

// A Hebbian rule without batch norm: features of a row by itself.
const char* const kInit = R"(
def init(self, sizes: List[int], seed: int) -> List[Dict[str, Tensor]]:
    phi: List[Dict[str, Tensor]] = []
    for l in range(len(sizes) - 1):
        n = torch.arange(sizes[l] * sizes[l + 1]) + seed % 1000
        phi.append({"W": torch.sin(n.float()).view(sizes[l], sizes[l + 1]), "b": torch.zeros(sizes[l + 1])})
    return phi
)";
const char* const kFeatures = R"(
def features(self, phi: List[Dict[str, Tensor]], x: Tensor) -> Tensor:
    for p in phi:
        x = torch.tanh(torch.matmul(x, p["W"]) + p["b"])
    return x
)";
const char* const kStep = R"(
def step(self, phi: List[Dict[str, Tensor]], x: Tensor) -> List[Dict[str, Tensor]]:
    after: List[Dict[str, Tensor]] = []
    for p in phi:
        y = torch.tanh(torch.matmul(x, p["W"]) + p["b"])
        change = torch.matmul(x.t(), y) / x.size(0) - self.decay[0] * p["W"]
        after.append({"b": p["b"] - self.bias * y.mean(0), "W": p["W"] + self.rate * change})
        x = y
    return after
)";
// Gradient descent with a learned rate, on labels.
const char* const kSupervisedStep = R"(
def step(self, phi: List[Dict[str, Tensor]], x: Tensor, y: Tensor) -> List[Dict[str, Tensor]]:
    weights: List[Tensor] = []
    for p in phi:
        weights.append(p["W"])
    loss = -(y * torch.log_softmax(self.features(phi, x), 1)).sum() / x.size(0)
    gradients = torch.autograd.grad([loss], weights, create_graph=True)
    after: List[Dict[str, Tensor]] = []
    for l in range(len(phi)):
        g = gradients[l]
        assert g is not None
        after.append({"W": phi[l]["W"] - self.rate * g, "b": phi[l]["b"]})
    return after
)";

struct ModuleText {
  std::string init = kInit, features = kFeatures, step = kStep, more;
  std::int64_t output_units = 4;
  bool supervised = false;
  at::ScalarType type = at::kFloat;
  bool parameters = true;
};

std::string bytes_of(const ModuleText& text) {
  torch::jit::Module module("test_rule");
  if (text.parameters) {
    module.register_parameter("rate", at::full({}, 0.1, at::TensorOptions(text.type)), false);
    module.register_parameter("decay", at::full({2}, 0.5, at::TensorOptions(at::kFloat)), false);
    module.register_parameter("bias", at::full({}, 0.05, at::TensorOptions(at::kFloat)), false);
  }
  module.register_attribute("output_units", c10::IntType::get(), text.output_units);
  if (text.supervised) module.register_attribute("supervised", c10::BoolType::get(), true);
  for (const auto& source : {text.init, text.features, text.step, text.more})
    if (!source.empty()) module.define(source);
  std::ostringstream bytes;
  module.save(bytes);
  return bytes.str();
}

rule::RuleOptions options_of(const std::string& bytes) {
  auto options = paper_rule("torchscript");
  options.script = rule::read_scripted_rule(bytes, "rule.path test.pt");
  options.neuron_local.output_units = options.script->output_units;
  options.neuron_local.ridge = options.script->ridge;
  return options;
}

/// A problem for the rule, from φ as its engine draws it.
Problem problem_of(const rule::RuleOptions& options, const ProblemSize& size = {}) {
  auto problem = make_problem(small_neuron_local(), size);
  problem.rule = options;
  problem.theta = rule::initial_theta(options, 0);
  problem.phi = reference_engine(options)->initial_phi(problem.architecture, 3, 0, 0);
  return problem;
}

double relative(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double off = 0.0, largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    off = std::max(off, std::abs(a[i] - b[i]));
    largest = std::max(largest, std::abs(a[i]));
  }
  return off / largest;
}

/// ∂J/∂θ against central differences.
void check_gradient(const Problem& problem) {
  const auto engine = reference_engine(problem.rule);
  const auto check = rule::check_gradient(*engine, problem, rule::DifferenceOptions());
  REQUIRE(check.outcome == rule::Outcome::finished);
  CHECK(check.forward_objective == Approx(check.objective).epsilon(1e-12));
  std::printf("gradient of %zu numbers: off by %.1e of the largest\n", problem.theta.size(),
              check.worst().difference);
  CHECK(check.largest > 0.0);
  CHECK(check.worst().difference < 1e-6);
}

std::string refused(const ModuleText& text) {
  return refusal([&] { rule::read_scripted_rule(bytes_of(text), "rule.path test.pt"); });
}

std::string replaced(std::string text, const std::string& old, const std::string& by) {
  REQUIRE(contains(text, old));
  return text.replace(text.find(old), old.size(), by);
}

}  // namespace

TEST_CASE("an exported rule, loaded as a module, is the built-in rule: J, φ and the gradient") {
  for (const bool separate : {false, true}) {
    auto built_in = small_neuron_local();
    built_in.neuron_local.separate_backward_readouts = separate;
    ProblemSize size;
    size.steps = 3;
    auto problem = make_problem(built_in, size);
    // The module is saved in float32.
    for (double& value : problem.theta) value = static_cast<float>(value);
    const auto options = options_of(rule::torchscript_of(problem.rule, problem.theta, "{}"));
    CHECK(options.neuron_local.output_units == problem.architecture.outputs());
    CHECK(options.neuron_local.ridge == problem.rule.neuron_local.ridge);
    CHECK(options.script->initial_theta == problem.theta);

    const auto ours = reference_engine(problem.rule), module = reference_engine(options);
    CHECK(module->phi_layout(problem.architecture).signature() ==
          ours->phi_layout(problem.architecture).signature());
    REQUIRE(module->theta_layout().size() == ours->theta_layout().size());
    for (std::size_t i = 0; i < ours->theta_layout().tensors().size(); ++i)
      CHECK(module->theta_layout().tensors()[i].zero_gradient ==
            ours->theta_layout().tensors()[i].zero_gradient);
    for (int update = 0; update <= 20; ++update) {
      const auto a = ours->truncation(problem.architecture, problem.theta, problem.phi, problem.steps);
      REQUIRE(a.outcome == rule::Outcome::finished);
      if (update == 0 || update == 20) {
        const auto b = module->truncation(problem.architecture, problem.theta, problem.phi, problem.steps);
        REQUIRE(b.outcome == rule::Outcome::finished);
        const double J = relative(a.meta_objective, b.meta_objective), phi = relative(a.phi, b.phi),
                     gradient = relative(a.d_theta, b.d_theta);
        std::printf("after %d updates: J off by %.1e, φ by %.1e, gradient by %.1e\n", update, J, phi,
                    gradient);
        CHECK(J < 1e-10);
        CHECK(phi < 1e-10);
        CHECK(gradient < 1e-10);
        CHECK(relative({ours->meta_objective(problem.architecture, problem.theta, a.phi, problem.steps[0])},
                       {module->meta_objective(problem.architecture, problem.theta, a.phi,
                                               problem.steps[0])}) < 1e-10);
      }
      for (std::size_t i = 0; i < problem.theta.size(); ++i)
        problem.theta[i] -= a.d_theta[i] > 0.0 ? 1e-3 : (a.d_theta[i] < 0.0 ? -1e-3 : 0.0);
    }
    rule::Matrix x(9, problem.architecture.inputs());
    for (std::size_t i = 0; i < x.values.size(); ++i) x.values[i] = static_cast<float>(i % 7) / 7.0f;
    const auto features = [&](rule::Engine& engine) {
      const auto statistics = engine.calibrate(problem.architecture, problem.theta, problem.phi, x);
      const auto result = engine.features(problem.architecture, problem.theta, problem.phi, statistics, x);
      return std::vector<double>(result.values.begin(), result.values.end());
    };
    CHECK(relative(features(*ours), features(*module)) < 1e-5);  // the built-in features are float32
  }
}

TEST_CASE("gradients of modules are those of central differences") {
  check_gradient(problem_of(options_of(bytes_of({}))));
  ModuleText objective;
  objective.more =
      "def objective(self, phi: List[Dict[str, Tensor]], x_a: Tensor, y_a: Tensor, x_b: Tensor, y_b: Tensor) "
      "-> "
      "Tensor:\n    f = self.features(phi, x_a)\n    return (torch.matmul(f, f.t()) - torch.matmul(y_a, "
      "y_a.t())).pow(2).mean() + self.features(phi, x_b).abs().mean()\n";
  check_gradient(problem_of(options_of(bytes_of(objective))));
  ModuleText supervised;
  supervised.supervised = true;
  supervised.step = kSupervisedStep;
  check_gradient(problem_of(options_of(bytes_of(supervised))));
}

TEST_CASE("φ is drawn from seed, stream and task, and unrolled as a truncation does") {
  const auto options = options_of(bytes_of({}));
  const auto problem = problem_of(options);
  const auto engine = reference_engine(options, rule::Precision::float32);
  const auto& architecture = problem.architecture;
  CHECK(engine->initial_phi(architecture, 3, 1, 2) == engine->initial_phi(architecture, 3, 1, 2));
  CHECK(engine->initial_phi(architecture, 3, 1, 2) != engine->initial_phi(architecture, 3, 1, 3));
  CHECK(engine->initial_phi(architecture, 3, 1, 2) != engine->initial_phi(architecture, 3, 2, 2));
  CHECK(engine->phi_layout(architecture).signature() ==
        "1/W [7, 5]\n1/b [5]\n2/W [5, 6]\n2/b [6]\n3/W [6, 4]\n3/b [4]\n");

  const auto minibatches = inner_batches(problem);
  const auto result = engine->truncation(architecture, problem.theta, problem.phi, problem.steps);
  int steps = 0;
  engine->set_after_step([&] { ++steps; });
  CHECK(engine->unroll(architecture, problem.theta, problem.phi, minibatches) == result.phi);
  CHECK(steps == 2);
  const auto again = engine->truncation(architecture, problem.theta, problem.phi, problem.steps);
  CHECK(again.d_theta == result.d_theta);
  CHECK(steps == 6);  // forward and backward
}

TEST_CASE("a parameter named in zero_gradient gets exactly none, tied ones count once") {
  torch::jit::Module module("tied");
  const auto rate = at::full({}, 0.1), decay = at::full({2}, 0.5);
  module.register_parameter("rate", rate, false);
  module.register_parameter("decay", decay, false);
  module.register_parameter("bias", at::full({}, 0.05), false);
  module.register_parameter("rate_again", rate, false);
  module.register_buffer("constant", at::full({3}, 2.0));
  module.register_attribute("output_units", c10::IntType::get(), 4);
  module.register_attribute("ridge", c10::FloatType::get(), 0.25);
  module.register_attribute("zero_gradient", c10::ListType::ofStrings(),
                            c10::List<std::string>({std::string("bias")}));
  for (const char* source : {kInit, kFeatures, kStep}) module.define(source);
  std::ostringstream bytes;
  module.save(bytes);
  const auto options = options_of(bytes.str());
  CHECK(options.script->theta.signature() == "rate []\ndecay [2]\nbias []\n");
  CHECK(options.neuron_local.ridge == 0.25);
  const auto problem = problem_of(options);
  const auto result =
      reference_engine(options)->truncation(problem.architecture, problem.theta, problem.phi, problem.steps);
  CHECK(result.d_theta[0] != 0.0);
  CHECK(result.d_theta[3] == 0.0);

  const auto written = rule::scripted_module_of(*options.script, {1.0, 2.0, 3.0, 4.0}, "{}");
  CHECK(rule::read_scripted_rule(written, "again")->initial_theta == std::vector<double>{1.0, 2.0, 3.0, 4.0});
}

TEST_CASE("dead features are named, and what is not finite") {
  ModuleText text;
  text.features =
      "def features(self, phi: List[Dict[str, Tensor]], x: Tensor) -> Tensor:\n"
      "    for p in phi:\n        x = torch.relu(torch.matmul(x, p[\"W\"]) + p[\"b\"])\n"
      "    return x\n";
  const auto options = options_of(bytes_of(text));
  auto problem = problem_of(options);
  const auto engine = reference_engine(options);
  std::fill(problem.phi.begin(), problem.phi.end(), -1.0);
  problem.theta = {0.0, 0.0, 0.0, 0.0};
  CHECK(engine->truncation(problem.architecture, problem.theta, problem.phi, problem.steps).outcome ==
        rule::Outcome::dead_features);
  CHECK(
      std::isnan(engine->meta_objective(problem.architecture, problem.theta, problem.phi, problem.steps[0])));
  problem = problem_of(options);
  problem.theta[0] = 1e300;
  const auto result = engine->truncation(problem.architecture, problem.theta, problem.phi, problem.steps);
  CHECK(result.outcome != rule::Outcome::finished);
  CHECK(result.d_theta.empty());
}

TEST_CASE("a module that does not keep the contract is refused by one line") {
  const auto check = [](const ModuleText& text, const std::string& part) {
    const auto message = refused(text);
    std::printf("%s\n", message.c_str());
    CHECK(message.rfind("rule.path test.pt: the module ", 0) == 0);
    CHECK(contains(message, part));
    CHECK(message.find('\n') == std::string::npos);
  };
  CHECK(refused({}).empty());
  ModuleText text;
  text.step.clear();
  check(text, "lacks the method step");
  text = {};
  text.step = replaced(kStep, "x: Tensor)", "x: Tensor, y: Tensor)");
  check(text, "step(phi, x) -> phi, without labels unless supervised = True, is wanted");
  text = {};
  text.init = replaced(kInit, ", seed: int", "");
  text.init = replaced(text.init, " + seed % 1000", "");
  check(text, "init(sizes: List[int], seed: int) -> List[Dict[str, Tensor]] is wanted");
  text = {};
  text.step = replaced(kStep, "\"b\": p[\"b\"]", "\"b\": p[\"W\"]");
  text.step = replaced(text.step, " * y.mean(0)", "");
  check(text, "returns φ of another shape from step: 1/b is [7, 5], init returned [5]");
  text = {};
  text.step = replaced(kStep, "\"b\": p[\"b\"]", "\"c\": p[\"b\"]");
  check(text, "returns φ of another shape from step: 1/b is missing");
  text = {};
  text.init = replaced(kInit, "torch.zeros(sizes[l + 1])", "torch.zeros(sizes[l + 1]).long()");
  check(text, "returns φ with 1/b, which is not floating-point");
  text = {};
  text.init = replaced(kInit, "torch.zeros(sizes[l + 1])", "torch.randn(sizes[l + 1])");
  check(text, "uses a random generator in init (randn)");
  text = {};
  text.step = replaced(kStep, "x = y\n", "x = torch.dropout(y, 0.5, True)\n");
  check(text, "uses a random generator in step (dropout)");
  text = {};
  text.type = at::kDouble;
  check(text, "has the parameter rate of type Double; parameters are float32");
  text = {};
  text.output_units = 5;
  text.features = replaced(kFeatures, "return x", "return x[:, :4]");
  check(text, "returns 4 features, but sizes end with 5");
  text = {};
  text.features = replaced(kFeatures, "return x", "return x - x.mean(0)");
  check(text, "features of a row that depend on the other rows");
  text = {};
  text.features = replaced(kFeatures, "return x", "return x[:12]");  // as if 12 rows were burnt in
  check(text, "use torch.jit.script");
  text = {};
  text.step = replaced(kStep, "x = y\n", "x = torch.matmul(y, y)\n");
  check(text, "fails in step: ");
  const auto not_a_module = refusal([] { rule::read_scripted_rule("no zip", "rule.path test.pt"); });
  CHECK(contains(not_a_module, "rule.path test.pt: the module is no TorchScript module"));
}

TEST_CASE("a rule whose gradient is cut says so, and evolution strategies do without") {
  ModuleText text;
  text.step = replaced(kStep, "self.rate * change", "(self.rate * change).detach()");
  text.step = replaced(text.step, "self.bias * y.mean(0)", "(self.bias * y.mean(0)).detach()");
  const auto problem = problem_of(options_of(bytes_of(text)));
  const auto engine = reference_engine(problem.rule);
  CHECK(contains(
      refusal([&] { engine->truncation(problem.architecture, problem.theta, problem.phi, problem.steps); }),
      "cuts the gradient"));
  CHECK(std::isfinite(rule::mean_meta_objective(*engine, problem, problem.theta)));
  CHECK(contains(refusal([&] { fused_engine(problem.rule); }), "fused does not know the rule torchscript"));
}

}  // namespace outerloop::tests
