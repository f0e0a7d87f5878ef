// The exported module, loaded by LibTorch as in PyTorch, against our own engine and the golden files.
#include <ATen/ATen.h>
#include <torch/csrc/jit/serialization/import.h>

#include <sstream>

#include "common/rule/engines/torchscript.h"
#include "common/rule/random.h"
#include "tests/catch.h"
#include "tests/rule/golden_file.h"
#include "tests/rule/problem.h"

namespace outerloop::tests {
namespace {

using at::Tensor;

torch::jit::Module loaded(const rule::RuleOptions& rule, const std::vector<double>& theta,
                          at::ScalarType type) {
  std::istringstream bytes(rule::torchscript_of(rule, theta, "{\"of\": \"a test\"}"));
  torch::jit::ExtraFilesMap extra = {{"outerloop.json", ""}};
  auto module = torch::jit::load(bytes, c10::nullopt, extra);
  REQUIRE(extra.at("outerloop.json") == "{\"of\": \"a test\"}");
  module.to(type);
  return module;
}

Tensor tensor(const double* values, const std::vector<std::int64_t>& shape, at::ScalarType type) {
  return at::from_blob(const_cast<double*>(values), shape, at::TensorOptions(at::kDouble))
      .to(type, false, true);
}

/// φ in the module's form: one {W, b, V} per layer.
c10::IValue phi_of(const rule::Layout& layout, const std::vector<double>& phi, at::ScalarType type) {
  c10::impl::GenericList layers(c10::DictType::create(c10::StringType::get(), c10::TensorType::get()));
  for (int l = 1; layout.contains(std::to_string(l) + "/W"); ++l) {
    c10::Dict<std::string, Tensor> layer;
    for (const char* name : {"W", "b", "V"}) {
      const auto& spec = layout.at(std::to_string(l) + "/" + name);
      layer.insert(name, tensor(phi.data() + spec.offset, spec.shape, type));
    }
    layers.push_back(layer);
  }
  return layers;
}

std::vector<double> flat_phi(const rule::Layout& layout, const c10::IValue& phi) {
  std::vector<double> values;
  const auto layers = phi.toList();
  for (const auto& spec : layout.tensors()) {
    const auto slash = spec.name.find('/');
    const auto layer = layers.get(std::stoul(spec.name.substr(0, slash)) - 1).toGenericDict();
    const Tensor t = layer.at(spec.name.substr(slash + 1)).toTensor().to(at::kDouble).contiguous();
    REQUIRE(t.sizes() == at::IntArrayRef(spec.shape));
    values.insert(values.end(), t.data_ptr<double>(), t.data_ptr<double>() + t.numel());
  }
  return values;
}

/// Largest difference over largest entry, over all tensors of one kind.
double difference(const std::vector<double>& ours, const std::vector<double>& theirs) {
  REQUIRE(ours.size() == theirs.size());
  double largest = 0.0;
  double off = 0.0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    largest = std::max(largest, std::abs(ours[i]));
    off = std::max(off, std::abs(ours[i] - theirs[i]));
  }
  return off / largest;
}

Tensor examples(const rule::Batch& batch, at::ScalarType type) {
  return tensor(batch.x.data(), {batch.examples, batch.inputs}, type);
}

}  // namespace

TEST_CASE("the module's inner steps are those of the golden files") {
  int compared = 0;
  for (const auto& path : golden_paths()) {
    const Hdf5File file(path);
    const auto golden = read_golden(file);
    const auto layout = rule::phi_layout(golden.rule, golden.architecture);
    auto module = loaded(golden.rule, golden.theta, at::kDouble);
    auto phi = phi_of(layout, golden.phi, at::kDouble);
    for (std::size_t t = 1; t <= golden.steps.size(); ++t) {
      phi = module.get_method("step")({phi, examples(golden.steps[t - 1].inner, at::kDouble)});
      const auto values = flat_phi(layout, phi);
      for (const auto& spec : layout.tensors()) {
        const std::string place = "expected/phi_after/" + std::to_string(t) + "/" + spec.name;
        if (!file.contains(place)) continue;  // only a selection is stored of the largest
        ++compared;
        INFO(path << " step " << t << " " << spec.name);
        // θ is float32 in the module; the steps propagate this rounding.
        CHECK(relative_error({values.begin() + spec.offset, values.begin() + spec.offset + spec.size()},
                             file.read(place)) < 1e-6);
      }
    }
  }
  CHECK(compared >= 90);
}

TEST_CASE("φ after ten inner steps is the engine's within float32, and so are the features") {
  for (const bool separate : {false, true}) {
    auto options = small_neuron_local();
    options.neuron_local.separate_backward_readouts = separate;
    ProblemSize size;
    size.steps = 10;
    size.batch = 12;
    const auto problem = make_problem(options, size);
    const auto layout = rule::phi_layout(problem.rule, problem.architecture);
    const auto minibatches = inner_batches(problem);
    const auto ours = fused_engine(problem.rule, rule::Precision::float32)
                          ->unroll(problem.architecture, problem.theta, problem.phi, minibatches);
    auto module = loaded(problem.rule, problem.theta, at::kFloat);
    auto phi = phi_of(layout, problem.phi, at::kFloat);
    for (const auto& batch : minibatches) phi = module.get_method("step")({phi, examples(batch, at::kFloat)});
    const double off = difference(ours, flat_phi(layout, phi));
    std::printf("ten steps: off by %.1e of the largest\n", off);
    CHECK(off < 1e-5);
    CHECK(difference(ours, problem.phi) > 1e-3);
    const auto features =
        module.get_method("features")({phi, examples(minibatches[0], at::kFloat)}).toTensor();
    CHECK(features.sizes() == at::IntArrayRef({12, problem.architecture.outputs()}));
    CHECK(features.sum().item<double>() > 0.0);
    CHECK(at::equal(features, module.forward({phi, examples(minibatches[0], at::kFloat)}).toTensor()));
  }
}

TEST_CASE("init draws the φ that Outerloop draws for the same seed") {
  const auto problem = make_problem(small_neuron_local(), {});
  const auto layout = rule::phi_layout(problem.rule, problem.architecture);
  auto module = loaded(problem.rule, problem.theta, at::kFloat);
  const c10::List<std::int64_t> sizes(problem.architecture.units);
  for (const std::int64_t seed : {std::int64_t{0}, std::int64_t{7}, std::int64_t{0x123456789ABCDEF}}) {
    const auto drawn = flat_phi(layout, module.get_method("init")({sizes, seed}));
    const auto ours = rule::initial_phi(layout, static_cast<std::uint64_t>(seed), 0, 0);
    CHECK(difference(ours, drawn) < 1e-6);
  }
}

TEST_CASE("what does not fit is refused") {
  const auto problem = make_problem(small_neuron_local(), {});
  const auto layout = rule::phi_layout(problem.rule, problem.architecture);
  auto module = loaded(problem.rule, problem.theta, at::kFloat);
  CHECK_THROWS(module.get_method("init")({c10::List<std::int64_t>({7, 5}), std::int64_t{0}}));
  const auto phi = phi_of(layout, problem.phi, at::kFloat);
  CHECK_THROWS(module.get_method("step")({phi, at::rand({4, problem.architecture.inputs() + 1})}));
  CHECK_THROWS(rule::torchscript_of(supervised_sgd(), {0.0}, "{}"));
  CHECK_THROWS(rule::torchscript_of(problem.rule, {0.0}, "{}"));
}

}  // namespace outerloop::tests
