// Every quantity in the golden files against the reference engine's tensors.
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>

#include "common/rule/engines/make_engine.h"
#include "common/rule/fused/instruction_set.h"
#include "common/rule/reference/neuron_local.h"
#include "common/rule/reference/objective.h"
#include "tests/catch.h"
#include "tests/rule/golden_file.h"
#include "tests/rule/problem.h"
#include "tests/rule_options.h"

namespace outerloop::tests {
namespace {

using at::Tensor;
using rule::reference::NeuronLocal;
using rule::reference::Phi;
using Values = std::map<std::string, std::vector<double>>;

/// Names of the weight change's terms in the files, in the order of merge.w.
const char* const kTerms[12] = {"0_order",     "1_order",        "decorr_x",       "hebb",
                                "large_decay", "lin_lower_symm", "lin_upper_psd",  "lin_upper_symm",
                                "rbf",         "sqr_lower_symm", "sqr_upper_symm", "w_base"};

std::vector<double> flat(const Tensor& t) {
  const Tensor host = t.detach().to(at::kDouble).contiguous();
  return {host.data_ptr<double>(), host.data_ptr<double>() + host.numel()};
}

Tensor tensor(const std::vector<double>& values, const std::vector<std::int64_t>& shape,
              at::ScalarType type) {
  return at::from_blob(const_cast<double*>(values.data()), shape, at::TensorOptions(at::kDouble))
      .clone()
      .to(type);
}

/// Tensors of one lane: [1, ...].
std::vector<Tensor> leaves(const rule::Layout& layout, const std::vector<double>& values,
                           at::ScalarType type) {
  std::vector<Tensor> tensors;
  for (const auto& spec : layout.tensors()) {
    const std::vector<double> own(values.begin() + spec.offset, values.begin() + spec.offset + spec.size());
    tensors.push_back(tensor(own, spec.shape, type).unsqueeze(0).requires_grad_());
  }
  return tensors;
}

/// [1, units, batch, ...] in the layout of the files: the batch first.
Tensor batch_first(const Tensor& t) { return t.transpose(1, 2); }

void add_trace(Values& ours, const std::string& step, const rule::reference::StepTrace& trace) {
  for (std::size_t l = 0; l < trace.h.size(); ++l) {
    const std::string layer = "/" + std::to_string(l);
    ours[step + "d" + layer] = flat(batch_first(trace.d[l]));
    ours[step + "h" + layer] = flat(batch_first(trace.h[l]));
    ours[step + "x" + layer] = flat(batch_first(trace.forward.x[l]));
    ours[step + "z" + layer] = flat(batch_first(trace.forward.z[l]));
    if (l == 0) continue;
    ours[step + "delta" + layer] = flat(batch_first(trace.delta[l]));
    for (std::int64_t k = 0; k < 12; ++k)
      ours[step + "terms" + layer + "/" + kTerms[rule::reference::kMergeOrder[k]]] =
          flat(trace.terms[l].select(0, k));
    ours[step + "delta_W" + layer] = flat(trace.delta_W[l]);
    ours[step + "delta_V" + layer] = flat(trace.delta_V[l]);
    ours[step + "delta_b" + layer] = flat(trace.delta_b[l]);
  }
}

void add_phi(Values& ours, const std::string& group, const Phi& phi) {
  for (std::size_t l = 0; l < phi.W.size(); ++l) {
    const std::string layer = group + std::to_string(l + 1) + "/";
    ours[layer + "W"] = flat(phi.W[l]);
    ours[layer + "b"] = flat(phi.b[l]);
    ours[layer + "V"] = flat(phi.V[l]);
  }
}

/// θ as one leaf in the order of its packing.
struct PackedLeaf {
  const rule::reference::PackedTheta& packed;
  Tensor theta;
};

void add_gradients(Values& ours, const std::string& group, const Tensor& value, const rule::Layout& layout,
                   const PackedLeaf& leaf, bool keep_graph) {
  const auto gradient = torch::autograd::grad({value}, {leaf.theta}, {}, keep_graph);
  const auto by_theta = leaf.packed.unpack(flat(gradient[0]).data());
  for (const auto& spec : layout.tensors())
    ours[group + spec.name] = {by_theta.begin() + spec.offset, by_theta.begin() + spec.offset + spec.size()};
}

void add_gradients(Values& ours, const std::string& group, const Tensor& value, const rule::Layout& layout,
                   const std::vector<Tensor>& inputs) {
  const auto gradients = torch::autograd::grad({value}, inputs, {}, true, false, true);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto& spec = layout.tensors()[i];
    ours[group + spec.name] = gradients[i].defined()
                                  ? flat(gradients[i])
                                  : std::vector<double>(static_cast<std::size_t>(spec.size()), 0.0);
  }
}

/// Everything that a golden file may contain under /expected.
Values compute(const GoldenCase& golden, at::ScalarType type) {
  Values ours;
  const auto theta_layout = rule::theta_layout(golden.rule);
  const auto phi_layout = rule::phi_layout(golden.rule, golden.architecture);
  const rule::reference::PackedTheta packed(golden.rule.neuron_local, theta_layout);
  const PackedLeaf leaf{packed, tensor(packed.pack(golden.theta), {1, packed.size()}, type).requires_grad_()};
  const auto start = leaves(phi_layout, golden.phi, type);
  Phi phi;
  for (std::size_t i = 0; i < start.size(); i += 3) {
    phi.W.push_back(start[i]);
    phi.b.push_back(start[i + 1]);
    phi.V.push_back(start[i + 2]);
  }
  const auto table = [&](const rule::Batch& batch) {
    return tensor(batch.x, {1, batch.examples, batch.inputs}, type).transpose(1, 2).contiguous();
  };
  const std::vector<const rule::StepData*> steps = {&golden.steps.at(0)};
  const auto shape = rule::reference::labelled_shape(steps);
  std::vector<double> numbers;
  rule::reference::append_labelled(shape, steps, numbers);
  const auto labelled = rule::reference::labelled_pairs(shape, tensor(numbers, {shape.size()}, type));
  const auto nonlinearity = golden.architecture.nonlinearity;
  const auto constants = rule::reference::LayerStacks::constants(golden.architecture.units);
  const rule::reference::LayerStacks stacks(
      golden.architecture.units, tensor(constants, {static_cast<std::int64_t>(constants.size())}, type));
  const NeuronLocal rule(golden.rule.neuron_local, packed, packed.split(leaf.theta), stacks);
  const auto objective = [&] {
    return rule::reference::ridge_objectives(phi, labelled, golden.rule.neuron_local.ridge, nonlinearity)
        .value;
  };

  std::vector<Tensor> objectives = {objective()};
  for (std::size_t t = 1; t <= golden.steps.size(); ++t) {
    rule::reference::StepTrace trace;
    phi = rule.step(phi, table(golden.steps[t - 1].inner), nonlinearity, &trace);
    objectives.push_back(objective());
    add_trace(ours, "expected/step" + std::to_string(t) + "/", trace);
    add_phi(ours, "expected/phi_after/" + std::to_string(t) + "/", phi);
  }
  ours["expected/meta_objective"] = flat(at::stack(objectives));
  const Tensor mean =
      at::stack(objectives).narrow(0, 1, static_cast<std::int64_t>(golden.steps.size())).mean();
  add_gradients(ours, "expected/grad_last/theta/", objectives.back(), theta_layout, leaf, true);
  add_gradients(ours, "expected/grad_last/phi/", objectives.back(), phi_layout, start);
  add_gradients(ours, "expected/grad_mean/theta/", mean, theta_layout, leaf, false);
  return ours;
}

/// The prefix "expected/grad_last/theta/" of a gradient's path; empty for other quantities.
std::string gradient_group(const std::string& path) {
  for (const char* group :
       {"expected/grad_last/theta/", "expected/grad_last/phi/", "expected/grad_mean/theta/"})
    if (path.rfind(group, 0) == 0) return group;
  return "";
}

/// The expected datasets of a file.
std::map<std::string, Hdf5Dataset> read_expected(const Hdf5File& file) {
  std::map<std::string, Hdf5Dataset> expected;
  for (const auto& path : file.datasets())
    if (path.rfind("expected/", 0) == 0) expected[path] = file.read(path);
  return expected;
}

/// The largest entry of each group of gradients.
std::map<std::string, double> group_scales(const std::map<std::string, Hdf5Dataset>& expected) {
  std::map<std::string, double> scales;
  for (const auto& [path, dataset] : expected) {
    const auto group = gradient_group(path);
    if (!group.empty()) scales[group] = std::max(scales[group], largest(dataset.values));
  }
  return scales;
}

/// Gradients that are zero except for rounding are compared relative to the largest of their group.
double judged_error(const std::string& path, const std::vector<double>& ours, const Hdf5Dataset& golden,
                    const std::map<std::string, double>& scales) {
  const auto group = gradient_group(path);
  if (group.empty()) return relative_error(ours, golden);
  const double top = scales.at(group);
  return relative_error(ours, golden, largest(golden.values) < 1e-11 * top ? top : 0.0);
}

/// A dataset's row in the printed table: its path without layer and name.
std::string quantity(const std::string& path) {
  const auto group = gradient_group(path);
  if (!group.empty()) return group.substr(9, group.size() - 10);
  std::string rest = path.substr(9);
  const auto slash = rest.find('/');
  if (slash == std::string::npos) return rest;
  if (rest.rfind("phi_after", 0) == 0) return "phi_after";
  return rest.substr(0, rest.find('/', slash + 1));
}

std::string name_of(const std::string& path) { return std::filesystem::path(path).filename().string(); }

void print_table(const std::map<std::string, double>& worst) {
  for (const auto& [name, error] : worst) std::printf("  %-24s %9.2e\n", name.c_str(), error);
  std::fflush(stdout);
}

double cosine(const std::vector<double>& a, const std::vector<double>& b) {
  double aa = 0, bb = 0, ab = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    aa += a[i] * a[i];
    bb += b[i] * b[i];
    ab += a[i] * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

}  // namespace

TEST_CASE("every golden quantity in float64") {
  at::set_num_threads(1);
  for (const auto& path : golden_paths()) {
    std::printf("%s\n", path.c_str());
    const Hdf5File file(path);
    const auto expected = read_expected(file);
    INFO(path);
    REQUIRE(!expected.empty());
    const auto ours = compute(read_golden(file), at::kDouble);
    const auto scales = group_scales(expected);
    std::map<std::string, double> worst;
    for (const auto& [name, golden] : expected) {
      INFO(name);
      const auto found = ours.find(name);
      REQUIRE(found != ours.end());
      const double error = judged_error(name, found->second, golden, scales);
      CHECK(error <= (golden.stored_in_float32 ? 1e-6 : 1e-9));
      auto& most = worst[quantity(name) + (golden.stored_in_float32 ? " (float32)" : "")];
      most = std::max(most, error);
    }
    print_table(worst);
  }
}

TEST_CASE("golden quantities in float32") {
  at::set_num_threads(1);
  for (const auto& path : golden_paths()) {
    const Hdf5File file(path);
    const auto expected = read_expected(file);
    const auto ours = compute(read_golden(file), at::kFloat);
    const auto scales = group_scales(expected);
    std::map<std::string, double> worst;
    std::map<std::string, std::pair<std::vector<double>, std::vector<double>>> whole;
    INFO(path);
    for (const auto& [name, golden] : expected) {
      INFO(name);
      const double error = judged_error(name, ours.at(name), golden, scales);
      auto& most = worst[quantity(name)];
      most = std::max(most, error);
      const auto group = gradient_group(name);
      if (group.empty()) {
        CHECK(error <= 1e-3);
        continue;
      }
      // A gradient in float32 jumps if a relu's input is within rounding of zero; this small file has no such
      // input.
      if (name_of(path) == "small_a.h5") CHECK(error <= 1e-3);
      auto& [a, b] = whole[group];
      a.insert(a.end(), ours.at(name).begin(), ours.at(name).end());
      b.insert(b.end(), golden.values.begin(), golden.values.end());
    }
    for (const auto& [group, pair] : whole) {
      INFO(group);
      const double c = cosine(pair.first, pair.second);
      std::printf("%s, float32: cosine of %s %.6f\n", name_of(path).c_str(), group.c_str(), c);
      CHECK(c > 0.99);
    }
    print_table(worst);
  }
}

namespace {

/// The gradient of J_k, from `d_mean`, that of the mean. J_1 .. J_{k-1} are those of a truncation that is one
/// step shorter, so its gradient gives that of J_k.
std::vector<double> last_gradient(rule::Engine& engine, const GoldenCase& golden,
                                  const std::vector<double>& d_mean) {
  REQUIRE(golden.steps.size() > 1);
  auto shorter = golden.steps;
  shorter.pop_back();
  const auto before = engine.truncation(golden.architecture, golden.theta, golden.phi, shorter);
  REQUIRE(before.outcome == rule::Outcome::finished);
  const auto k = static_cast<double>(golden.steps.size());
  std::vector<double> d_last(d_mean.size());
  for (std::size_t i = 0; i < d_last.size(); ++i) d_last[i] = k * d_mean[i] - (k - 1) * before.d_theta[i];
  return d_last;
}

/// Compares a truncation on the engine of these options with the file: objectives, gradient and φ.
void check_truncation(const std::string& path, const rule::EngineOptions& options) {
  const Hdf5File file(path);
  const auto golden = read_golden(file);
  const auto expected = read_expected(file);
  const bool exact = options.precision == rule::Precision::float64;
  const double most = !exact ? 1e-3 : options.device == "cpu" ? 1e-9 : 1e-6;
  const auto engine = rule::make_engine(golden.rule, options);
  const auto start = std::chrono::steady_clock::now();
  const auto result = engine->truncation(golden.architecture, golden.theta, golden.phi, golden.steps);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  INFO(path << ", " << engine->description());
  REQUIRE(result.outcome == rule::Outcome::finished);

  const auto& J = expected.at("expected/meta_objective").values;
  REQUIRE(J.size() == golden.steps.size() + 1);
  double mean = 0.0;
  for (std::size_t t = 1; t < J.size(); ++t) {
    CHECK(std::abs(result.meta_objective[t - 1] - J[t]) <= most * std::abs(J[t]));
    mean += J[t] / static_cast<double>(golden.steps.size());
  }
  CHECK(std::abs(result.mean_meta_objective - mean) <= most * std::abs(mean));

  const auto d_last = last_gradient(*engine, golden, result.d_theta);
  const auto scales = group_scales(expected);
  std::vector<double> ours, theirs;
  const auto compare = [&](const std::string& group, const rule::Layout& layout,
                           const std::vector<double>& values, double bound) {
    double worst = 0;
    for (const auto& spec : layout.tensors()) {
      const auto found = expected.find(group + spec.name);
      if (found == expected.end()) continue;
      INFO(found->first);
      const std::vector<double> own(values.begin() + spec.offset, values.begin() + spec.offset + spec.size());
      const double error = judged_error(found->first, own, found->second, scales);
      const bool rounded = exact && found->second.stored_in_float32;
      CHECK(error <= (rounded ? 1e-6 : bound));
      if (!rounded) worst = std::max(worst, error);
      if (gradient_group(found->first).empty()) continue;
      ours.insert(ours.end(), own.begin(), own.end());
      theirs.insert(theirs.end(), found->second.values.begin(), found->second.values.end());
    }
    return worst;
  };
  double state = 0;
  for (std::size_t t = 1; t <= golden.steps.size(); ++t) {
    std::vector<rule::Batch> minibatches;
    for (std::size_t i = 0; i < t; ++i) minibatches.push_back(golden.steps[i].inner);
    const auto phi = engine->unroll(golden.architecture, golden.theta, golden.phi, minibatches);
    if (t == golden.steps.size()) CHECK(phi == result.phi);
    state = std::max(state, compare("expected/phi_after/" + std::to_string(t) + "/",
                                    rule::phi_layout(golden.rule, golden.architecture), phi, most));
  }
  // In float32 the gradient jumps if a relu's input is within rounding of zero; small_a has no such input.
  double bound = most;
  if (!exact && name_of(path) != "small_a.h5") bound = std::numeric_limits<double>::infinity();
  const double gradient =
      std::max(compare("expected/grad_mean/theta/", engine->theta_layout(), result.d_theta, bound),
               compare("expected/grad_last/theta/", engine->theta_layout(), d_last, bound));
  const double direction = cosine(ours, theirs);
  CHECK(direction > 0.99);
  std::printf("%-28s %-40s state %.1e, gradient %.1e, its cosine %.8f, %.3f s\n", name_of(path).c_str(),
              engine->description().substr(0, 40).c_str(), state, gradient, direction, seconds.count());
}

}  // namespace

TEST_CASE("truncations by both engines give the golden objective, gradient and phi") {
  for (const auto& path : golden_paths())
    for (const auto precision : {rule::Precision::float64, rule::Precision::float32}) {
      auto options = cpu_engine(rule::EngineKind::reference, precision);
      check_truncation(path, options);
      options.kind = rule::EngineKind::fused;
      for (const auto& set : rule::fused::available_instruction_sets()) {
        options.instruction_set = set;
        check_truncation(path, options);
        if (name_of(path) == "reference_size.h5") break;  // only the best: the others are slow at this size
      }
    }
}

TEST_CASE("truncations on a device give the golden objective, gradient and phi", "[.gpu]") {
  engine_on_device(small_neuron_local());  // skipped where there is none
  for (const auto& path : golden_paths())
    for (const auto precision : {rule::Precision::float64, rule::Precision::float32})
      check_truncation(path, device_engine(precision));
}

namespace {

/// Other data, another φ and fewer labelled examples than the file's.
struct OtherLane {
  std::vector<double> phi;
  std::vector<rule::StepData> steps;

  OtherLane(const GoldenCase& golden, double factor) : phi(golden.phi), steps(golden.steps) {
    for (double& value : phi) value *= factor;
    for (auto& step : steps) {
      for (double& x : step.inner.x) x = factor - x;
      for (auto* labelled : {&step.a, &step.b}) {
        labelled->examples -= 1;
        labelled->x.resize(static_cast<std::size_t>(labelled->examples * labelled->inputs));
        labelled->y.resize(static_cast<std::size_t>(labelled->examples * labelled->targets));
      }
    }
  }
};

}  // namespace

TEST_CASE("a golden problem among two others in one call gives the golden objective and gradient") {
  for (const auto& path : golden_paths()) {
    if (name_of(path) == "reference_size.h5") continue;  // which takes gigabytes with three lanes
    const Hdf5File file(path);
    const auto golden = read_golden(file);
    const auto expected = read_expected(file);
    const auto scales = group_scales(expected);
    const auto engine =
        rule::make_engine(golden.rule, cpu_engine(rule::EngineKind::reference, rule::Precision::float64));
    const OtherLane before(golden, 1.3), after(golden, 0.8);
    const auto results = engine->truncations(
        golden.architecture, golden.theta,
        {{before.phi, before.steps}, {golden.phi, golden.steps}, {after.phi, after.steps}});
    INFO(path);
    REQUIRE(results.size() == 3);
    const auto& ours = results[1];
    REQUIRE(ours.outcome == rule::Outcome::finished);
    const auto& J = expected.at("expected/meta_objective").values;
    for (std::size_t t = 1; t < J.size(); ++t)
      CHECK(std::abs(ours.meta_objective[t - 1] - J[t]) <= 1e-9 * std::abs(J[t]));
    for (const auto& spec : engine->theta_layout().tensors()) {
      const std::string name = "expected/grad_mean/theta/" + spec.name;
      const auto found = expected.find(name);
      if (found == expected.end()) continue;
      INFO(name);
      const std::vector<double> own(ours.d_theta.begin() + spec.offset,
                                    ours.d_theta.begin() + spec.offset + spec.size());
      CHECK(judged_error(name, own, found->second, scales) <=
            (found->second.stored_in_float32 ? 1e-6 : 1e-9));
    }
    for (const auto* other : {&before, &after}) {
      const auto& together = results[other == &before ? 0 : 2];
      const auto single = engine->truncation(golden.architecture, golden.theta, other->phi, other->steps);
      REQUIRE(together.outcome == rule::Outcome::finished);
      const double most = largest(single.d_theta);
      for (std::size_t i = 0; i < single.d_theta.size(); ++i)
        if (std::abs(together.d_theta[i] - single.d_theta[i]) > 1e-10 * most) FAIL("number " << i << " of θ");
    }
  }
}

}  // namespace outerloop::tests
