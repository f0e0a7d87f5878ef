// Kept base models: what comes back, and which files are refused.
#include "common/rule/rules.h"
#include "common/store/model_file.h"
#include "common/store/rule_file.h"
#include "tests/catch.h"
#include "tests/store/support.h"

namespace outerloop::tests {
namespace {

using store::ModelFile;

ModelFile sample_model() {
  ModelFile file;
  auto& model = file.model;
  model.rule.name = "neuron_local";
  model.architecture.units = {3, 4, 2};
  model.phi = rule::initial_phi(rule::phi_layout(model.rule, model.architecture), 1, 2, 3);
  for (double& value : model.phi) value = static_cast<float>(value);
  model.statistics = {{{0.5, -1.5, 1e-9, 2.0}, {1.0, 2.0}}, {{1.0, 0.25, 3.0, 1e-3}, {0.5, 0.125}}};
  model.scaling = {"linear", 3, {-2.0, 7.5}};
  file.theta = "average";
  file.theta_sha256 = std::string(64, 'a');
  file.update = 12;
  file.config = "updates: 1\n";
  file.table = "{\"named\":true}";
  file.examples = 1000;
  file.inner_steps = 50;
  file.minibatch = 32;
  file.seed = 0xffffffffffffffffull;
  file.created = "2020-01-01T00:00:00Z";
  file.git_revision = "unknown";
  return file;
}

/// The refusal of the sample model's file after `change`, sealed anew.
template <class Change>
std::string refusal_after(const Folder& folder, const Change& change) {
  const std::string path = folder / "m.h5";
  store::write_model(path, sample_model());
  auto document = store::open_document(path).document;
  change(document);
  store::write_document(path, store::Kind::model, document);
  return refusal([&] { store::read_model(path); });
}

}  // namespace

TEST_CASE("a kept model comes back bit for bit") {
  const Folder folder;
  const auto written = sample_model();
  store::write_model(folder / "m.h5", written);
  const auto read = store::read_model(folder / "m.h5");
  CHECK(read.model.rule.name == written.model.rule.name);
  CHECK(read.model.architecture.units == written.model.architecture.units);
  CHECK(read.model.phi == written.model.phi);
  CHECK(read.model.statistics.mean == written.model.statistics.mean);
  CHECK(read.model.statistics.standard_deviation == written.model.statistics.standard_deviation);
  CHECK(read.model.scaling.kind == "linear");
  CHECK(read.model.scaling.columns == 3);
  CHECK(read.model.scaling.numbers == written.model.scaling.numbers);
  CHECK(read.theta == "average");
  CHECK(read.theta_sha256 == written.theta_sha256);
  CHECK(read.update == 12);
  CHECK(read.config == written.config);
  CHECK(read.table == written.table);
  CHECK(read.examples == 1000);
  CHECK(read.inner_steps == 50);
  CHECK(read.minibatch == 32);
  CHECK(read.seed == written.seed);
  CHECK(read.created == written.created);
}

TEST_CASE("a model whose parts do not fit is refused in one line that names it") {
  const Folder folder;
  const auto refused = [&](const char* said, const std::string& line) {
    INFO(line);
    CHECK(contains(line, folder / "m.h5"));
    CHECK(contains(line, said));
    CHECK_FALSE(contains(line, "\n"));
  };
  const auto with_seed = [&](const std::string& seed) {
    return refusal_after(folder, [&](store::Document& document) { document.attributes["seed"] = seed; });
  };
  for (const char* seed : {"", "x", "-1", "1 ", "99999999999999999999999"}) refused("seed", with_seed(seed));
  CHECK(with_seed("7").empty());
  refused("/phi/1/W has another shape", refusal_after(folder, [](store::Document& document) {
            document.datasets["/phi/1/W"] = document.datasets["/phi/2/W"];
          }));
  refused("/phi holds numbers", refusal_after(folder, [](store::Document& document) {
            document.datasets["/phi/1/b"] = store::Dataset::float32({0, 0, 0, 1.0 / 0.0}, 0, {4});
          }));
  refused("/statistics/2/", refusal_after(folder, [](store::Document& document) {
            document.datasets["/statistics/2/scale"] = store::Dataset::float64({0.5, 0.0}, 0, {2});
          }));
  refused("/scaling/numbers", refusal_after(folder, [](store::Document& document) {
            document.datasets["/scaling/numbers"].attributes["columns"] = std::int64_t{4};
          }));
  refused("units of a layer", refusal_after(folder, [](store::Document& document) {
            document.datasets["/units"] = store::Dataset::integers({3, 1 << 30, 2});
          }));
  refused("/units",
          refusal_after(folder, [](store::Document& document) { document.datasets.erase("/units"); }));
  for (const char* rule : {"nothing", "supervised_sgd"})
    refused("of a rule", refusal_after(folder, [&](store::Document& document) {
              document.attributes["rule"] = std::string(rule);
            }));
  store::write_rule(folder / "m.h5", sample_rule());
  refused("no model", refusal([&] { store::read_model(folder / "m.h5"); }));
}

}  // namespace outerloop::tests
