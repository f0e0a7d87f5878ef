// A program of its own that trains a base model on an array, without labels, by a shipped rule.
#include <cmath>
#include <cstdio>

#include "common/config/settings.h"
#include "common/evaluation/apply.h"
#include "common/rule/engines/make_engine.h"
#include "common/store/files.h"

int main(int argc, char** argv) {
  using namespace outerloop;
  if (argc != 2) return 2;

  // 1. The rule, and an engine for it.
  const auto file = store::read_rule(argv[1]);
  const auto settings = config::settings_from_text(file.config, argv[1], {});
  const auto engine = rule::make_engine(settings.rule, settings.engine);

  // 2. 200 examples of 12 inputs between 0 and 1.
  rule::Matrix x(200, 12);
  for (std::int64_t i = 0; i < x.rows; ++i)
    for (std::int64_t j = 0; j < x.columns; ++j)
      x.row(i)[j] = 0.5f + 0.5f * static_cast<float>(std::sin(0.7 * i * (j + 1)));

  // 3. A base model, trained on them; its features.
  evaluation::ApplyOptions how;
  how.hidden = settings.evaluation_hidden_units();
  how.minibatch = settings.config.tasks().minibatch();
  how.inner_steps = 20;
  const auto features = evaluation::apply_rule(*engine, file.theta, x, how);
  std::printf("%lld features of %lld examples\n", static_cast<long long>(features.columns),
              static_cast<long long>(features.rows));
}
