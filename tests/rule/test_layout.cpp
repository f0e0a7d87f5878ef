#include <cmath>

#include "common/base/error.h"
#include "common/rule/layout.h"
#include "common/rule/phi.h"
#include "common/rule/theta.h"
#include "tests/catch.h"
#include "tests/rule_options.h"

namespace outerloop::tests {

TEST_CASE("theta at the reference size has 72 tensors and 114,670 numbers") {
  const auto layout = rule::theta_layout(paper_rule());
  CHECK(layout.tensors().size() == 72);
  CHECK(layout.size() == 114670);
  std::int64_t offset = 0;
  for (const auto& tensor : layout.tensors()) {
    CHECK(tensor.offset == offset);
    offset += tensor.size();
  }
  CHECK(layout.at("top.in.w").shape == std::vector<std::int64_t>{5, 1, 64});
  CHECK(layout.at("top.mix.1.w").shape == std::vector<std::int64_t>{3, 32, 32});
  CHECK(layout.at("hidden.features.beta").shape == std::vector<std::int64_t>{36});
  CHECK(layout.at("hidden.in.w").shape == std::vector<std::int64_t>{3, 45, 64});
  CHECK(layout.at("readout.lin_upper_psd.b").shape == std::vector<std::int64_t>{4});
  CHECK(layout.at("merge.w").shape == std::vector<std::int64_t>{12});
  CHECK(layout.at("bias.w").shape == std::vector<std::int64_t>{64, 1});
  CHECK_FALSE(layout.contains("backward.merge.w"));
  CHECK_THROWS_AS(layout.at("no.such"), Error);
}

TEST_CASE("only biases in front of a batch norm have no gradient") {
  const auto layout = rule::theta_layout(paper_rule());
  for (const auto& tensor : layout.tensors()) {
    const auto dot = tensor.name.rfind('.');
    const bool before_batch_norm =
        tensor.name.substr(dot) == ".b" && layout.contains(tensor.name.substr(0, dot) + ".beta");
    INFO(tensor.name);
    CHECK(tensor.zero_gradient == before_batch_norm);
  }
}

TEST_CASE("sizes of theta follow the options") {
  auto options = paper_rule();
  options.neuron_local.hidden_blocks = 0;
  options.neuron_local.top_layers = 0;
  const auto small = rule::theta_layout(options);
  CHECK_FALSE(small.contains("hidden.block.0.w"));
  CHECK_FALSE(small.contains("top.block.0.w"));
  options.neuron_local.separate_backward_readouts = true;
  const auto separate = rule::theta_layout(options);
  CHECK(separate.contains("backward.readout.w0.row.w"));
  CHECK(separate.tensors().size() == small.tensors().size() + 32);
  CHECK(separate.signature() != small.signature());
  CHECK(separate.signature() == rule::theta_layout(options).signature());
  options.name = "no_such_rule";
  CHECK_THROWS_AS(rule::theta_layout(options), InputError);
}

TEST_CASE("merge.w starts at initial_merge, of both kinds of readouts, and nothing else changes with it") {
  auto options = paper_rule();
  options.neuron_local.separate_backward_readouts = true;
  const auto paper = rule::theta_layout(options);
  const auto before = rule::initial_theta(paper, 3);
  options.neuron_local.initial_merge = 3.0;
  const auto layout = rule::theta_layout(options);
  const auto theta = rule::initial_theta(layout, 3);
  CHECK(layout.signature() == paper.signature());
  for (const auto& tensor : layout.tensors()) {
    const bool merge = tensor.name == "merge.w" || tensor.name == "backward.merge.w";
    for (std::int64_t i = tensor.offset; i < tensor.offset + tensor.size(); ++i)
      CHECK(theta[static_cast<std::size_t>(i)] == (merge ? 3.0 : before[static_cast<std::size_t>(i)]));
  }
}

TEST_CASE("initial theta is drawn within two sigma of fan-in, and merge.w starts at 0.1") {
  const auto layout = rule::theta_layout(paper_rule());
  const auto theta = rule::initial_theta(layout, 3);
  REQUIRE(theta.size() == 114670);
  CHECK(theta == rule::initial_theta(layout, 3));
  CHECK(theta != rule::initial_theta(layout, 4));
  for (const auto& tensor : layout.tensors()) {
    INFO(tensor.name);
    const bool drawn = tensor.initializer.kind == rule::Initializer::Kind::truncated_normal;
    const bool weight = tensor.name.size() > 2 && tensor.name.substr(tensor.name.size() - 2) == ".w";
    CHECK(drawn == (weight && tensor.name != "merge.w"));
    double squares = 0;
    for (std::int64_t i = tensor.offset; i < tensor.offset + tensor.size(); ++i) {
      const double value = theta[static_cast<std::size_t>(i)];
      REQUIRE(value == static_cast<float>(value));
      if (drawn) {
        REQUIRE(std::abs(value) <= 2 * tensor.initializer.value * (1 + 1e-6));
      } else {
        REQUIRE(value == static_cast<float>(tensor.initializer.value));
      }
      squares += value * value;
    }
    if (drawn && tensor.size() > 1000)
      CHECK(std::sqrt(squares / static_cast<double>(tensor.size())) ==
            Approx(0.88 * tensor.initializer.value).epsilon(0.05));
  }
  const auto& in = layout.at("hidden.in.w");
  CHECK(in.initializer.value == Approx(1 / std::sqrt(3 * 45.0)));
  CHECK(theta[static_cast<std::size_t>(layout.at("merge.w").offset)] == static_cast<float>(0.1));
}

TEST_CASE("phi holds W, b and V, or W, b and their momentum, for every layer") {
  auto options = paper_rule();
  const rule::Architecture architecture{{7, 5, 4}, rule::Nonlinearity::relu};
  const auto layout = rule::phi_layout(options, architecture);
  CHECK(layout.size() == 2 * (35 + 20) + 9);
  CHECK(layout.at("2/V").shape == std::vector<std::int64_t>{5, 4});
  options.name = "supervised_sgd";
  const auto sgd = rule::phi_layout(options, architecture);
  CHECK(sgd.size() == 2 * (35 + 20 + 9));
  CHECK(sgd.at("1/momentum_b").shape == std::vector<std::int64_t>{5});
  const auto phi = rule::initial_phi(sgd, 1, 2, 3);
  CHECK(phi != rule::initial_phi(sgd, 1, 2, 4));
  for (std::int64_t i = 0; i < 4; ++i)
    CHECK(phi[static_cast<std::size_t>(sgd.at("2/momentum_b").offset + i)] == 0.0);
}

TEST_CASE("initial values of supervised_sgd that have no logarithm are refused by their key") {
  const auto refusal = [](double learning_rate, double momentum) -> std::string {
    auto options = paper_rule("supervised_sgd");
    options.supervised_sgd = {learning_rate, momentum};
    try {
      rule::theta_layout(options);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  CHECK(refusal(1e-6, 0.5).empty());
  for (const double wrong : {0.0, -1.0, std::nan("")}) {
    CHECK(refusal(wrong, 0.5).find("rule.initial_learning_rate: must be above 0") == 0);
    CHECK(refusal(1e-6, wrong).find("rule.initial_momentum: must be above 0") == 0);
  }
  CHECK(refusal(1e-6, 1.0).find("below 1") != std::string::npos);
}

TEST_CASE("a layout's signature names every tensor with its shape") {
  const rule::Layout layout({{"a", {2, 3}, "", rule::Initializer::constant(1), false, 0},
                             {"b", {4}, "", rule::Initializer::constant(0), false, 0}});
  CHECK(layout.signature() == "a [2, 3]\nb [4]\n");
  CHECK(layout.at("b").offset == 6);
  CHECK(layout.size() == 10);
}

}  // namespace outerloop::tests
