// What commands do differently where the rule's configuration computes on a GPU.
#include "cli/run_options.h"
#include "cli/support/study.h"
#include "common/config/settings.h"
#include "tests/catch.h"

using namespace outerloop;

TEST_CASE("on a GPU, workers prepare minibatches in advance and studies train draws side by side") {
  const auto settings = [](const std::string& keys) {
    return config::settings_from_text("updates: 1 tasks { dataset { name: \"tables\" } } " + keys, "test",
                                      {});
  };
  const auto cpu = settings(""), gpu = settings("device: 'cuda'"), second = settings("device: 'cuda:1'");
  CHECK_FALSE(cli::prefetches(cpu.config));
  CHECK(cli::prefetches(gpu.config));
  CHECK(cli::prefetches(second.config));
  CHECK(cli::few_shot_options({}, cpu).lanes == 1);
  CHECK(cli::few_shot_options({}, gpu).lanes == 16);
  CHECK(cli::few_shot_options({}, second).lanes == 16);
}
