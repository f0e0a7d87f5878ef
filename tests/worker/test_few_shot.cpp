// The few-shot table: same draws for every method, paired differences, λ chosen on other draws.
#include "common/rule/error.h"
#include "common/rule/random.h"
#include "tests/catch.h"
#include "tests/worker/toy_engine.h"
#include "worker/few_shot.h"

using namespace outerloop;
using worker::FewShotData;
using worker::FewShotOptions;

namespace {

/// Classes that differ by the mean of one pixel each, in noise: raw pixels classify them well.
FewShotData gaussian_classes() {
  FewShotData data;
  data.name = "gaussians";
  data.size = 3;
  data.classes = 3;
  const rule::Random random(5, 0, 0, rule::Purpose::test);
  std::uint32_t element = 0;
  const auto fill = [&](rule::Matrix& x, std::vector<std::int32_t>& labels, int count) {
    x = rule::Matrix(count, 9);
    for (int i = 0; i < count; ++i) {
      labels.push_back(i % 3);
      for (int p = 0; p < 9; ++p)
        x.row(i)[p] = static_cast<float>(0.3 * random.normal(element++) + (p == i % 3 ? 1.0 : 0.0));
    }
  };
  fill(data.train, data.train_labels, 1200);
  fill(data.test, data.test_labels, 300);
  return data;
}

FewShotOptions small_options() {
  FewShotOptions options;
  options.draws = 6;
  options.selection_draws = 2;
  options.inner_steps = 3;
  options.hidden = {6};
  return options;
}

}  // namespace

TEST_CASE("a rule that changes nothing is exactly as good as random initialisation, draw by draw") {
  const auto data = gaussian_classes();
  const auto make_engine = [] { return std::make_unique<tests::ToyEngine>(2); };
  std::int64_t last = 0;
  const auto table = worker::evaluate_few_shot(make_engine, {0.0, 0.0}, {0.0, 0.0}, data, small_options(),
                                               [&](std::int64_t done, std::int64_t total) {
                                                 CHECK(total == 8);
                                                 last = done;
                                               });
  CHECK(last == 8);
  CHECK(table.base_model == "9-6-4");
  REQUIRE(table.rows.size() == 4);
  CHECK(table.rows[0].method == "rule");
  CHECK(table.rows[0].minus_random == 0.0);
  CHECK(table.rows[0].minus_random_ci95 == 0.0);
  CHECK(table.rows[0].accuracy == table.rows[2].accuracy);
  CHECK(table.rows[2].accuracy > 0.4);  // chance is 1/3
  CHECK(table.rows[3].method == "pixels");
  CHECK(table.rows[3].accuracy > 0.9);
  CHECK(table.rows[3].minus_random > 0.0);
  CHECK(table.rows[3].ci95 > 0.0);
}

TEST_CASE("the table does not depend on the number of threads, and does on the seed") {
  const auto data = gaussian_classes();
  const auto make_engine = [] { return std::make_unique<tests::ToyEngine>(2); };
  auto options = small_options();
  const auto table = [&] {
    return worker::evaluate_few_shot(make_engine, {0.0, 0.0}, {0.0, 0.0}, data, options,
                                     [](std::int64_t, std::int64_t) {});
  };
  const auto one = table();
  options.threads = 3;
  const auto three = table();
  for (std::size_t i = 0; i < one.rows.size(); ++i) CHECK(one.rows[i].accuracy == three.rows[i].accuracy);
  options.seed = 1;
  CHECK(table().rows[2].accuracy != one.rows[2].accuracy);
}

TEST_CASE("too few labelled examples are refused") {
  auto data = gaussian_classes();
  auto options = small_options();
  options.labels_per_class = 401;
  const auto make_engine = [] { return std::make_unique<tests::ToyEngine>(2); };
  CHECK_THROWS_AS(worker::evaluate_few_shot(make_engine, {0.0, 0.0}, {0.0, 0.0}, data, options,
                                            [](std::int64_t, std::int64_t) {}),
                  InputError);
}
