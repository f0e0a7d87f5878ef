#include "common/rule/checks.h"

#include <utility>

#include "common/base/error.h"
#include "common/rule/rules.h"
#include "common/rule/scripted_rule.h"

namespace outerloop::rule {
namespace {

constexpr std::int64_t kLargestSize = 65536;
// Far beyond any base model, and small enough that the size of φ does not overflow.
constexpr std::int64_t kMostLayers = 1000;
constexpr std::int64_t kMostUnits = std::int64_t{1} << 24;

[[noreturn]] void fail(const std::string& text) { throw Error("engine: " + text); }

void check_count(const std::string& what, std::size_t got, std::int64_t expected) {
  if (got != static_cast<std::size_t>(expected))
    fail(what + " has " + std::to_string(got) + " numbers, but its layout has " + std::to_string(expected));
}

/// Name of a checked value, built only when an error needs it.
struct Name {
  const std::string& what;
  const char* part;
  std::string text() const { return what + part; }
};

void check_table(const Name& name, const char* table, const std::vector<double>& values, std::int64_t rows,
                 std::int64_t columns) {
  const auto width = static_cast<std::size_t>(columns);
  if (values.size() % width != 0 || values.size() / width != static_cast<std::size_t>(rows))
    fail(name.text() + table + " has " + std::to_string(values.size()) + " numbers, which are not " +
         std::to_string(rows) + " x " + std::to_string(columns));
}

void check_batch(const Architecture& architecture, const Batch& batch, const Name& name, bool with_labels) {
  if (batch.examples < 1) fail(name.text() + " has no examples");
  if (batch.inputs != architecture.inputs())
    fail(name.text() + " has " + std::to_string(batch.inputs) + " inputs per example, but the base model " +
         architecture.description() + " takes " + std::to_string(architecture.inputs()));
  check_table(name, ": x", batch.x, batch.examples, batch.inputs);
  if (!with_labels) return;
  if (batch.targets < 1) fail(name.text() + " has no labels");
  check_table(name, ": y", batch.y, batch.examples, batch.targets);
}

/// Labels of a supervised rule: each class has an output.
void check_classes(const Architecture& architecture, const Batch& batch, const Name& name) {
  check_batch(architecture, batch, name, true);
  if (batch.targets > architecture.outputs())
    fail(name.text() + " has " + std::to_string(batch.targets) + " classes, but the base model " +
         architecture.description() + " has " + std::to_string(architecture.outputs()) + " outputs");
}

}  // namespace

void check_rule(const RuleOptions& rule) {
  const bool scripted = rule.name == "torchscript";
  if (scripted != (rule.script != nullptr))
    throw InputError("rule.name: " + rule.name + (scripted ? " needs its module" : " takes no module"));
  if (scripted || supervised(rule)) return;
  const auto& s = rule.neuron_local;
  const std::pair<const char*, std::int64_t> from_one[] = {{"hidden_channels", s.hidden_channels},
                                                           {"top_channels", s.top_channels},
                                                           {"delta_channels", s.delta_channels},
                                                           {"readout_channels", s.readout_channels},
                                                           {"output_units", s.output_units}};
  const std::pair<const char*, std::int64_t> from_zero[] = {{"hidden_blocks", s.hidden_blocks},
                                                            {"top_layers", s.top_layers}};
  const auto check = [](const char* name, std::int64_t value, std::int64_t least) {
    if (value < least || value > kLargestSize)
      throw InputError(std::string("rule.") + name + ": " + std::to_string(value) + " is out of range; use " +
                       std::to_string(least) + " to " + std::to_string(kLargestSize));
  };
  for (const auto& [name, value] : from_one) check(name, value, 1);
  for (const auto& [name, value] : from_zero) check(name, value, 0);
  for (const auto& [name, value] :
       {std::pair{"ridge", s.ridge}, std::pair{"inner_step_size", s.inner_step_size}})
    if (!(value > 0))
      throw InputError(std::string("rule.") + name + ": must be above 0, got " + std::to_string(value));
}

void check_threads(int threads) {
  if (threads < 1 || threads > 1024)
    throw InputError("engine.threads: " + std::to_string(threads) + " is out of range; use 1 to 1024");
}

void check_memory_budget(std::int64_t mib) {
  if (mib < 0)
    throw InputError("engine.memory_budget_mib: " + std::to_string(mib) +
                     " is out of range; use 1 or more, or 0 for an automatic budget");
}

void check_state(const RuleOptions& rule, const Layout& theta_layout, const Architecture& architecture,
                 const std::vector<double>& theta, const std::vector<double>& phi) {
  if (architecture.layers() < 1)
    fail("the base model has no layer; an architecture needs at least inputs and outputs");
  if (architecture.layers() > kMostLayers)
    fail("the base model has " + std::to_string(architecture.layers()) + " layers; " +
         std::to_string(kMostLayers) + " are the most");
  for (const auto units : architecture.units)
    if (units < 1 || units > kMostUnits)
      fail("the base model " + architecture.description() + " has a layer of " + std::to_string(units) +
           " units");
  if (rule.script && architecture.nonlinearity != Nonlinearity::relu)
    throw InputError(rule.script->name + ": a module has its own non-linearity, no other can be asked for");
  if (!supervised(rule) && architecture.outputs() != rule.neuron_local.output_units)
    fail("the base model " + architecture.description() + " has " + std::to_string(architecture.outputs()) +
         " outputs, but θ fixes output_units = " + std::to_string(rule.neuron_local.output_units));
  check_count("θ", theta.size(), theta_layout.size());
  check_count("φ of " + architecture.description(), phi.size(), phi_layout(rule, architecture).size());
}

void check_inner(const RuleOptions& rule, const Architecture& architecture, const Batch& inner,
                 const std::string& what) {
  if (supervised(rule))
    check_classes(architecture, inner, {what, ""});
  else
    check_batch(architecture, inner, {what, ""}, false);
}

void check_labelled(const RuleOptions& rule, const Architecture& architecture, const StepData& step,
                    const std::string& what) {
  if (supervised(rule)) {
    check_classes(architecture, step.b, {what, ", labelled minibatch b"});
    return;
  }
  check_batch(architecture, step.a, {what, ", labelled minibatch a"}, true);
  check_batch(architecture, step.b, {what, ", labelled minibatch b"}, true);
  if (step.a.examples != step.b.examples || step.a.targets != step.b.targets)
    fail(what + ": labelled minibatches of different sizes: a has " + std::to_string(step.a.examples) +
         " x " + std::to_string(step.a.targets) + " labels, b " + std::to_string(step.b.examples) + " x " +
         std::to_string(step.b.targets));
}

void check_steps(const RuleOptions& rule, const Architecture& architecture,
                 const std::vector<StepData>& steps) {
  if (steps.empty()) fail("a truncation of no inner steps");
  for (std::size_t t = 0; t < steps.size(); ++t) {
    check_inner(rule, architecture, steps[t].inner, minibatch_name(t));
    check_labelled(rule, architecture, steps[t], minibatch_name(t));
  }
}

std::string minibatch_name(std::size_t step) { return "minibatch " + std::to_string(step + 1); }

bool all_finite(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double v : values) sum += v - v;  // 0 for every finite number, else NaN
  return sum == 0.0;
}

void drop_unless_finite(TruncationResult& result) {
  if (!result.d_theta.empty() && all_finite(result.d_theta) && all_finite(result.meta_objective)) return;
  result.outcome = Outcome::not_finite;
  result.d_theta.clear();
  result.phi.clear();
}

}  // namespace outerloop::rule
