// The module of a rule written in Python in checkpoints, rules and kept models: kept bit for bit, and never
// run by a reader.
#include "common/store/model_file.h"
#include "common/store/rule_file.h"
#include "tests/catch.h"
#include "tests/store/support.h"

namespace outerloop::tests {
namespace {

/// φ's tensors are not in byte order.
rule::Layout phi_layout(const rule::Architecture&) {
  return rule::Layout(
      {{"1/b", {2}, "", {}, false, 0}, {"1/W", {3, 2}, "", {}, false, 0}, {"2/a", {}, "", {}, false, 0}});
}

std::shared_ptr<rule::ScriptedRule> sample_module() {
  auto script = std::make_shared<rule::ScriptedRule>();
  script->bytes = std::string("PK\0\3 a module\0", 14);
  script->name = "rule.path my.pt";
  script->theta = sample_rule().layout;
  script->phi_layout = phi_layout;
  return script;
}

store::Checkpoint scripted_checkpoint() {
  auto checkpoint = sample_checkpoint();
  checkpoint.rule.rule = "torchscript";
  checkpoint.rule.script = sample_module();
  checkpoint.streams.erase(checkpoint.streams.begin());  // the other one has begun
  checkpoint.streams[0].lanes.at(0).phi = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  checkpoint.streams[0].lanes[0].pairs.clear();
  return checkpoint;
}

/// The refusal of the checkpoint's file after `change`, sealed anew.
template <class Change>
std::string refusal_after(const Folder& folder, const Change& change) {
  const std::string path = folder / "c.h5";
  store::write_checkpoint(path, scripted_checkpoint());
  auto document = store::open_document(path).document;
  change(document);
  store::write_document(path, store::Kind::checkpoint, document);
  return refusal([&] { store::read_checkpoint(path); });
}

}  // namespace

TEST_CASE("a checkpoint holds its module, and φ in the module's order") {
  const Folder folder;
  const auto written = scripted_checkpoint();
  store::write_checkpoint(folder / "c.h5", written);
  const auto read = store::read_checkpoint(folder / "c.h5");
  REQUIRE(read.rule.script);
  CHECK(read.rule.script->bytes == written.rule.script->bytes);
  CHECK_FALSE(read.rule.script->phi_layout);
  CHECK(read.streams.at(0).lanes.at(0).phi == written.streams[0].lanes[0].phi);
  store::write_rule(folder / "r.h5", written.rule);
  CHECK(store::read_rule(folder / "r.h5").script->bytes == written.rule.script->bytes);
  CHECK(store::read_contents(folder / "r.h5").checkpoint.rule.script->bytes == written.rule.script->bytes);
  CHECK(store::module_sha256(*read.rule.script).size() == 64);
}

TEST_CASE("a damaged module, or φ with a gap, is refused in one line") {
  const Folder folder;
  CHECK(contains(refusal_after(folder, [](auto& document) { ++document.datasets["/module"].bytes[3]; }),
                 "the SHA-256 of its module differs"));
  CHECK(
      contains(refusal_after(folder, [](auto& document) { document.datasets.erase("/module"); }), "/module"));
  const auto stream = std::to_string(scripted_checkpoint().streams[0].stream);
  CHECK(contains(
      refusal_after(folder,
                    [&](auto& document) { document.datasets.erase("/streams/" + stream + "/phi/1/W"); }),
      "a tensor of φ is missing"));
}

TEST_CASE("a model of a module comes back with θ and statistics of any shape") {
  const Folder folder;
  store::ModelFile file;
  auto& model = file.model;
  model.rule.name = "torchscript";
  model.rule.script = sample_module();
  model.architecture.units = {3, 2};
  model.phi = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  model.theta = sample_rule().theta;
  model.statistics.tensors = {{{2, 2}, {0.1, 0.2, 0.3, 0.4}}, {{}, {0.5}}};
  model.scaling = {"linear", 3, {-2.0, 7.5}};
  file.created = "2020-01-01T00:00:00Z";
  file.theta = "last";
  file.theta_sha256 = std::string(64, 'a');
  file.git_revision = "unknown";
  store::write_model(folder / "m.h5", file);
  const auto read = store::read_model(folder / "m.h5").model;
  CHECK(read.rule.script->bytes == model.rule.script->bytes);
  CHECK(read.phi == model.phi);
  CHECK(read.theta == model.theta);
  REQUIRE(read.statistics.tensors.size() == 2);
  CHECK(read.statistics.tensors[0].shape == std::vector<std::int64_t>{2, 2});
  CHECK(read.statistics.tensors[0].values == model.statistics.tensors[0].values);
  CHECK(read.statistics.tensors[1].values == std::vector<double>{0.5});
}

}  // namespace outerloop::tests
