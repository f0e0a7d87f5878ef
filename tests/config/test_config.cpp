// Configuration: accepted and rejected settings; errors name key, value, range and the nearest key.
#include <array>
#include <filesystem>
#include <fstream>
#include <string>

#include "common/base/error.h"
#include "common/config/paths.h"
#include "common/config/schema.h"
#include "common/config/settings.h"
#include "common/data/overlap.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"

using namespace outerloop;
using config::settings_from_text;

namespace {

const std::string kMinimal = "updates: 5 tasks { dataset { name: \"glyphs\" } }";

/// The message of the InputError that these settings cause; fails the test if they are accepted.
std::string refusal(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    settings_from_text(text, "my.textproto", overrides);
  } catch (const InputError& error) {
    const std::string message = error.what();
    CHECK(message.find('\n') == std::string::npos);
    CHECK(error.exit_code() == 2);
    return message;
  }
  FAIL("accepted: " + text);
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a configuration with a byte order mark is read; one in UTF-16 is named") {
  const outerloop::tests::TemporaryFolder folder;
  const auto write = [&](const std::string& bytes) {
    std::ofstream(folder / "my.textproto", std::ios::binary) << bytes;
  };
  write("\xEF\xBB\xBFupdates: 7\r\n");
  CHECK(config::read_settings(folder / "my.textproto", {}).config.updates() == 7);
  write(std::string("\xFF\xFEu\0p\0", 6));
  try {
    config::read_settings(folder / "my.textproto", {});
    FAIL("read");
  } catch (const outerloop::InputError& error) {
    CHECK(std::string(error.what()) ==
          (folder / "my.textproto") + ": its byte order mark says that it is UTF-16: save it as UTF-8");
  }
}

TEST_CASE("defaults are those of the schema, and overrides win over the file") {
  const auto plain = settings_from_text(kMinimal, "test", {});
  CHECK(plain.config.batch() == 8);
  CHECK(plain.config.optimizer().epsilon() == 1e-8);
  CHECK(plain.config.optimizer().beta1() == 0.9);
  CHECK(plain.config.optimizer().beta2() == 0.999);
  CHECK(plain.config.mode() == proto::Config::asynchronous);
  const auto changed = settings_from_text(
      kMinimal, "test", {"updates=7", "engine.precision=float64", "rule.inner_step_size=0.5"});
  CHECK(changed.config.updates() == 7);
  CHECK(changed.engine.precision == rule::Precision::float64);
  CHECK(changed.rule.neuron_local.inner_step_size == 0.5);
}

TEST_CASE("the resolved text reads back as the same settings") {
  const auto first = settings_from_text(
      kMinimal, "test", {"tasks.cache_directory=/tmp/a \"b\" \\c", "seed=18446744073709551615"});
  const auto second = settings_from_text(first.text(), "again", {});
  CHECK(second.text() == first.text());
  CHECK(second.config.tasks().cache_directory() == "/tmp/a \"b\" \\c");
  CHECK(second.config.seed() == 18446744073709551615u);
  CHECK(second.config.has_batch());
}

TEST_CASE("unknown keys name the nearest known one") {
  CHECK(contains(refusal(kMinimal + " btach: 3"), "unknown key 'btach'; the nearest known key is 'batch'"));
  CHECK(contains(refusal(kMinimal + " engine { precison: float32 }"),
                 "unknown key 'engine.precison'; the nearest known key is 'engine.precision'"));
  CHECK(contains(refusal(kMinimal + " btach: 3"), "my.textproto:1:"));
  CHECK(contains(refusal(kMinimal, {"checkpoint.evry_updates=3"}), "'checkpoint.every_updates'"));
  CHECK(contains(refusal(kMinimal, {"engine=3"}), "unknown key 'engine'"));
  CHECK(contains(refusal(kMinimal, {"updates.x=3"}), "unknown key 'updates.x'"));
}

TEST_CASE("a key given twice is refused, also with value 0") {
  CHECK(contains(refusal("updates: 5 updates: 6"), "'updates' is given twice"));
  CHECK(contains(refusal("updates: 0 updates: 0"), "'updates' is given twice"));
  CHECK(contains(refusal("updates: 5 clip { } clip { }"), "'clip' is given twice"));
  CHECK(contains(refusal("updates: 5 clip { batch_norm: 0 batch_norm: 0 }"), "'batch_norm' is given twice"));
  CHECK(contains(refusal(kMinimal, {"batch=1", "batch=1"}), "'batch' is given twice"));
  CHECK(settings_from_text(kMinimal, "test", {"updates=9"}).config.updates() ==
        9);  // file and --set: --set wins
}

TEST_CASE("values out of range name key, value and range") {
  const std::string message = refusal(kMinimal, {"batch=0"});
  CHECK(contains(message, "batch = 0"));
  CHECK(contains(message, "1 to 1"));
  CHECK(contains(refusal(kMinimal + " tasks { }"), "'tasks' is given twice"));
  CHECK(contains(refusal("updates: 5 tasks { dataset { name: \"glyphs\" weight: -1 } }"),
                 "tasks.dataset.weight = -1"));
  CHECK(contains(refusal(kMinimal, {"optimizer.learning_rate=nan"}), "optimizer.learning_rate"));
  CHECK(contains(refusal(kMinimal, {"tasks.min_way=2"}), "tasks.min_way = 2"));
  CHECK(contains(refusal(kMinimal, {"tasks.min_subclasses=2"}), "tasks.max_subclasses"));
  CHECK(contains(refusal(kMinimal, {"rule.initial_merge=0"}), "rule.initial_merge = 0"));
  CHECK(contains(refusal(kMinimal, {"evaluation.hidden_layers=-1"}), "evaluation.hidden_layers = -1"));
}

TEST_CASE("base models of an evaluation are in the middle of those of tasks, unless they are set") {
  const auto units = [](const std::vector<std::string>& overrides) {
    return config::settings_from_text(kMinimal, "test", overrides).evaluation_hidden_units();
  };
  const std::vector<std::string> ranges = {"tasks.min_hidden_layers=1", "tasks.max_hidden_layers=4",
                                           "tasks.min_width=16", "tasks.max_width=17"};
  CHECK(units(ranges) == std::vector<std::int64_t>{17, 17, 17});
  auto set = ranges;
  set.insert(set.end(), {"evaluation.hidden_layers=1", "evaluation.width=5"});
  CHECK(units(set) == std::vector<std::int64_t>{5});
  CHECK(units({"tasks.min_hidden_layers=0", "tasks.max_hidden_layers=0"}).size() == 1);
}

TEST_CASE("values of the wrong kind say what was expected") {
  CHECK(contains(refusal(kMinimal, {"batch=many"}), "expected a whole number"));
  CHECK(contains(refusal(kMinimal, {"engine.kind=fast"}), "fused | reference"));
  CHECK(contains(refusal(kMinimal, {"rule.separate_backward_readouts=perhaps"}), "true or false"));
  CHECK(contains(refusal(kMinimal, {"tasks.dataset=glyphs"}), "write it in a configuration file"));
  CHECK(contains(refusal(kMinimal, {"batch"}), "key=value"));
  CHECK(contains(refusal("updates 5 {"), "my.textproto:1:"));
}

TEST_CASE("contradictions are refused") {
  CHECK(contains(refusal("tasks { dataset { name: \"glyphs\" } }"), "neither updates nor seconds"));
  CHECK(contains(refusal(kMinimal, {"device=cuda", "engine.kind=fused"}), "engine.kind = reference"));
  CHECK(contains(refusal(kMinimal, {"tasks.min_width=9", "tasks.max_width=8"}), "tasks.min_width = 9"));
  CHECK(contains(refusal(kMinimal, {"mode=deterministic", "batch=3", "streams=4"}), "batch = streams"));
  CHECK(contains(refusal("updates: 5 tasks { dataset { weight: 2 } }"), "a dataset without a name"));
  CHECK(settings_from_text(kMinimal, "test", {"device=cuda:1"}).engine.kind == rule::EngineKind::reference);
}

TEST_CASE("only some keys may change over a resume") {
  CHECK_NOTHROW(config::check_resume_overrides({"updates=9", "seconds=3", "device=cpu", "engine.threads=2"}));
  CHECK_THROWS_AS(config::check_resume_overrides({"updates=9", "batch=3"}), InputError);
}

TEST_CASE("every preset is accepted, and unknown ones are listed") {
  int presets = 0;
  // The configurations of scripts/dev/search, in their own folder, are not presets but must be accepted too.
  for (const auto& entry : std::filesystem::recursive_directory_iterator(OUTERLOOP_CONFIGS)) {
    INFO(entry.path());
    if (entry.path().extension() != ".textproto") continue;
    CHECK_FALSE(config::read_settings(entry.path().string(), {}).training.empty());
    ++presets;
  }
  CHECK(presets >= 6);
  CHECK_THROWS_AS(config::find_config("no-such-preset"), InputError);
}

TEST_CASE("augmentation is off unless asked for, and every key of it arrives") {
  CHECK_FALSE(settings_from_text(kMinimal, "test", {}).tasks.augmentation.enabled());
  const auto options =
      settings_from_text(kMinimal, "test",
                         {"tasks.augmentation.probability=0.5", "tasks.augmentation.shift=0.1",
                          "tasks.augmentation.rotation=20", "tasks.augmentation.scale=0.2",
                          "tasks.augmentation.contrast=0.3", "tasks.augmentation.inversion=0.4",
                          "tasks.augmentation.noise=0.15", "tasks.augmentation.target_scale=0.25"})
          .tasks.augmentation;
  CHECK(options.enabled());
  CHECK(options.probability == 0.5);
  CHECK(options.shift == 0.1);
  CHECK(options.rotation == 20.0);
  CHECK(options.scale == 0.2);
  CHECK(options.contrast == 0.3);
  CHECK(options.inversion == 0.4);
  CHECK(options.noise == 0.15);
  CHECK(options.target_scale == 0.25);
  CHECK(contains(refusal(kMinimal, {"tasks.augmentation.target_scale=0.2", "rule.name=supervised_sgd"}),
                 "tasks.augmentation.target_scale is for rules without labels"));
  CHECK(contains(refusal(kMinimal, {"tasks.augmentation.rotation=200"}),
                 "tasks.augmentation.rotation = 200 is out of range; allowed is 0 to 180"));
  CHECK(contains(refusal(kMinimal, {"tasks.augmentation.turn=2"}), "nearest known key"));
}

TEST_CASE("how tasks are drawn is as before unless asked for, and every key of it arrives") {
  const auto plain = settings_from_text(kMinimal, "test", {}).tasks;
  CHECK_FALSE(plain.inner_steps_uniform);
  CHECK_FALSE(plain.random_offset);
  CHECK(plain.smallest_side == 0);
  CHECK(plain.permute_probability == 1.0);
  const auto changed = settings_from_text(
      kMinimal, "test",
      {"tasks.inner_steps_distribution=uniform", "tasks.random_offset=true", "tasks.min_size=8",
       "tasks.permute_probability=0.5", "unroll.distribution=log_uniform"});
  CHECK(changed.tasks.inner_steps_uniform);
  CHECK(changed.tasks.random_offset);
  CHECK(changed.tasks.smallest_side == 8);
  CHECK(changed.tasks.permute_probability == 0.5);
  CHECK(changed.config.unroll().distribution() == proto::log_uniform);
  CHECK(contains(refusal(kMinimal, {"tasks.min_size=15"}), "tasks.min_size = 15 exceeds tasks.size = 14"));
  CHECK(contains(refusal(kMinimal, {"tasks.max_words=255"}),
                 "tasks.min_words = 256 exceeds tasks.max_words = 255"));
}

TEST_CASE("vectors are scaled by quantiles unless asked for otherwise, in all datasets of a run") {
  const auto plain = settings_from_text(kMinimal, "test", {});
  CHECK(plain.scaling == data::ScalingKind::quantiles);
  CHECK(plain.tasks.share == std::array<double, 3>{0.0, 0.0, 0.0});
  const std::string two = std::string(kMinimal) + " evaluation { dataset { name: \"reviews\" path: \"r\" } }";
  const auto changed = settings_from_text(
      two, "test", {"inputs.scaling=ranks", "tasks.share.texts=2", "tasks.share.images=1"});
  CHECK(changed.scaling == data::ScalingKind::ranks);
  CHECK(changed.training.at(0).request.scaling == data::ScalingKind::ranks);
  CHECK(changed.evaluation.at(0).request.scaling == data::ScalingKind::ranks);
  CHECK(changed.tasks.share == std::array<double, 3>{1.0, 2.0, 0.0});
  CHECK(settings_from_text(changed.text(), "test", {}).scaling == data::ScalingKind::ranks);
  CHECK(contains(refusal(kMinimal, {"inputs.scaling=log"}), "inputs.scaling"));
  CHECK(contains(refusal(kMinimal, {"tasks.share.tables=-1"}), "tasks.share.tables"));
}

TEST_CASE("the first tasks are as the others but for the keys that are set") {
  const auto plain = settings_from_text(kMinimal, "test", {"tasks.max_width=99", "tasks.minibatch=77"}).tasks;
  CHECK(plain.first.tasks == 0);
  CHECK(plain.first.sizes.width.high == 99);
  const auto first =
      settings_from_text(
          kMinimal, "test",
          {"tasks.max_width=99", "tasks.minibatch=77", "tasks.max_inner_steps=400", "tasks.first.tasks=5",
           "tasks.first.min_hidden_layers=1", "tasks.first.max_hidden_layers=3", "tasks.first.min_width=2",
           "tasks.first.max_width=4", "tasks.first.min_inner_steps=6"})
          .tasks.first;
  CHECK(first.tasks == 5);
  CHECK(first.sizes.minibatch == 77);
  CHECK((first.sizes.hidden_layers.low == 1 && first.sizes.hidden_layers.high == 3));
  CHECK((first.sizes.width.low == 2 && first.sizes.width.high == 4));
  CHECK((first.sizes.inner_steps.low == 6 && first.sizes.inner_steps.high == 400));
  CHECK(contains(refusal(kMinimal, {"tasks.first.min_width=64", "tasks.max_width=48"}),
                 "tasks.first.min_width = 64 exceeds tasks.first.max_width = 48"));
}

TEST_CASE("a rule's file that is older than the size of evaluated base models keeps 64-64") {
  using Units = std::vector<std::int64_t>;
  const std::string text =
      "updates: 5 tasks { dataset { name: \"glyphs\" } min_hidden_layers: 1 max_hidden_layers: 1 min_width: "
      "16 "
      "max_width: 16 }";
  CHECK(config::settings_of_rule(text, "rule.h5").evaluation_hidden_units() == Units{64, 64});
  const auto now = config::settings_from_text(text, "c.textproto", {});
  CHECK(now.evaluation_hidden_units() == Units{16});
  // What is written today is fully resolved.
  CHECK(config::settings_of_rule(now.text_as_written(), "rule.h5").evaluation_hidden_units() == Units{16});
}

TEST_CASE("the preset paper has the reference sizes and ranges, and trains on nothing that it evaluates") {
  const auto paper = config::read_settings(std::string(OUTERLOOP_CONFIGS) + "/paper.textproto", {});
  const auto& rule = paper.rule.neuron_local;
  CHECK((rule.hidden_channels == 64 && rule.top_channels == 64 && rule.delta_channels == 32));
  CHECK((rule.readout_channels == 4 && rule.hidden_blocks == 1 && rule.top_layers == 2));
  CHECK((rule.output_units == 32 && rule.inner_step_size == 1e-4));
  const auto size = outerloop::rule::paper_size();
  CHECK((size.hidden_channels == rule.hidden_channels && size.top_channels == rule.top_channels));
  CHECK((size.delta_channels == rule.delta_channels && size.readout_channels == rule.readout_channels));
  CHECK((size.hidden_blocks == rule.hidden_blocks && size.top_layers == rule.top_layers));
  CHECK((size.output_units == rule.output_units && size.inner_step_size == rule.inner_step_size));
  CHECK((size.ridge == rule.ridge && size.initial_merge == rule.initial_merge));
  CHECK(size.separate_backward_readouts == rule.separate_backward_readouts);
  CHECK((paper.config.batch() == 256 && paper.config.updates() == 200000));
  const auto& tasks = paper.tasks;
  CHECK((tasks.sizes.minibatch == 128 && tasks.labelled_per_class == 10));
  CHECK((tasks.sizes.hidden_layers.low == 1 && tasks.sizes.hidden_layers.high == 4));  // and the output layer
  CHECK((tasks.sizes.width.low == 64 && tasks.sizes.width.high == 512));
  CHECK(paper.config.tasks().size() == 16);
  CHECK((tasks.augmentation.enabled() && tasks.augmentation.target_scale > 0.0));
  double fonts = 0.0, all = 0.0;
  for (const auto& dataset : paper.training) {
    all += dataset.weight;
    fonts += dataset.request.name == "glyphs" ? dataset.weight : 0.0;
  }
  CHECK(fonts / all == 0.5);
  for (const char* preset : {"paper", "cluster", "gpu"}) {
    const auto settings =
        config::read_settings(std::string(OUTERLOOP_CONFIGS) + "/" + preset + ".textproto", {});
    std::vector<data::DatasetRequest> training, evaluation;
    for (const auto& dataset : settings.training) training.push_back(dataset.request);
    for (const auto& dataset : settings.evaluation) evaluation.push_back(dataset.request);
    CHECK_NOTHROW(data::check_no_overlap(training, evaluation));
  }
}

TEST_CASE(
    "a stream carries one task unless told otherwise, and the preset gpu several, on another device too") {
  CHECK(config::settings_from_text("updates: 1", "test", {}).config.tasks().group() == 1);
  CHECK_THROWS_AS(config::settings_from_text("updates: 1 tasks { group: 0 }", "test", {}), InputError);
  const std::string preset = std::string(OUTERLOOP_CONFIGS) + "/gpu.textproto";
  const auto gpu = config::read_settings(preset, {});
  CHECK(gpu.engine.kind == rule::EngineKind::reference);
  CHECK(gpu.engine.device == "cuda");
  CHECK(gpu.config.tasks().group() == 16);
  const auto cpu = config::read_settings(preset, {"device=cpu"});
  CHECK(cpu.engine.kind == rule::EngineKind::reference);
  CHECK(cpu.engine.device == "cpu");
}

TEST_CASE("the rule torchscript: its path, its engine, and the keys that it ignores") {
  const std::string tasks = " tasks { dataset { name: \"glyphs\" } } updates: 5";
  const auto settings = settings_from_text(
      "rule { name: torchscript path: \"my.pt\" ridge: 0.5 top_layers: 1 }" + tasks, "test", {});
  CHECK(settings.engine.kind == outerloop::rule::EngineKind::reference);
  CHECK(settings.ignored_keys == std::vector<std::string>{"rule.top_layers", "rule.ridge"});
  CHECK_FALSE(contains(settings.text(), "top_layers"));
  const auto again = settings_from_text(settings.text(), "test", {});
  CHECK(again.ignored_keys.empty());
  CHECK(again.text() == settings.text());
  CHECK(settings_from_text("rule { ridge: 0.5 }" + tasks, "test", {}).ignored_keys.empty());

  CHECK(contains(refusal("rule { name: torchscript }" + tasks), "needs rule.path"));
  CHECK(contains(refusal("rule { path: \"my.pt\" }" + tasks), "rule.path is for rule.name = torchscript"));
  CHECK(contains(refusal("rule { name: torchscript path: \"my.pt\" } engine { kind: fused }" + tasks),
                 "engine.kind = fused does not know the rule torchscript"));

  const outerloop::tests::TemporaryFolder folder;
  std::ofstream(folder / "my.textproto") << "rule { name: torchscript path: \"my.pt\" }" + tasks;
  const auto read = config::read_settings(folder / "my.textproto", {});
  CHECK(config::path_of(read.config.rule()) == (folder / "my.pt"));
  CHECK_FALSE(contains(read.text_as_written(), folder / "my.pt"));
  const auto overridden = config::read_settings(folder / "my.textproto", {"rule.path=other.pt"});
  CHECK(config::path_of(overridden.config.rule()) == (std::filesystem::current_path() / "other.pt").string());
}

TEST_CASE("a module says whether it trains on labels, its outputs and its λ") {
  auto settings = settings_from_text(
      "rule { name: torchscript path: \"my.pt\" } tasks { dataset { name: \"glyphs\" } } updates: 5", "test",
      {});
  auto module = std::make_shared<outerloop::rule::ScriptedRule>();
  module->output_units = 7;
  module->ridge = 0.3;
  settings.set_module(module);
  CHECK(settings.tasks.output_units == 7);
  CHECK(settings.rule.neuron_local.output_units == 7);
  CHECK(settings.rule.neuron_local.ridge == 0.3);
  module = std::make_shared<outerloop::rule::ScriptedRule>();
  module->supervised = true;
  settings.set_module(module);
  CHECK(settings.tasks.output_units == 0);
  settings.tasks.augmentation.target_scale = 1.0;
  CHECK_THROWS_AS(settings.set_module(module), InputError);
}
