// The few-shot table: same draws for every method, paired differences, λ chosen on other draws.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "common/base/error.h"
#include "common/evaluation/few_shot.h"
#include "common/rule/random.h"
#include "tests/catch.h"
#include "tests/toy_engine.h"

using namespace outerloop;
using evaluation::FewShotData;
using evaluation::FewShotOptions;

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
  options.minibatch = 64;
  options.hidden = {6};
  return options;
}

/// Its inner steps change nothing.
const evaluation::RuleUnderTest kRule{
    [] { return std::make_unique<tests::ToyEngine>(2); }, {0.0, 0.0}, {0.0, 0.0}};

}  // namespace

TEST_CASE("a rule that changes nothing is exactly as good as random initialisation, draw by draw") {
  const auto data = gaussian_classes();
  std::int64_t last = 0;
  const auto table =
      evaluation::evaluate_few_shot(kRule, data, small_options(), [&](std::int64_t done, std::int64_t total) {
        CHECK(total == 8);
        last = done;
      });
  CHECK(last == 8);
  CHECK(table.base_model == "9-6-4");
  CHECK(table.unlabelled == 1200);
  CHECK(table.tested == 300);
  REQUIRE(table.rows.size() == 9 * 4);
  for (std::size_t r = 0; r < 4; ++r) {
    const auto &rule = table.rows[r], &random = table.rows[2 * 4 + r], &pixels = table.rows[3 * 4 + r];
    CHECK(rule.method == "rule");
    CHECK(rule.readout == baselines::readout_name(baselines::all_readouts()[r]));
    CHECK(rule.minus_random == 0.0);
    CHECK(rule.minus_random_ci95 == 0.0);
    CHECK(random.method == "random");
    CHECK(rule.accuracy == random.accuracy);
    CHECK(random.accuracy > 0.4);  // chance is 1/3
    CHECK(pixels.method == "pixels");
    CHECK(pixels.accuracy > 0.9);
    CHECK(pixels.minus_random > 0.0);
    CHECK(pixels.ci95 > 0.0);
    // This rule is random initialisation, so its deficit equals their lead.
    CHECK(pixels.rule_minus == -pixels.minus_random);
    CHECK(pixels.rule_minus_ci95 == pixels.minus_random_ci95);
    CHECK(rule.rule_minus == 0.0);
    const auto& by_draw = pixels.by_draw;
    REQUIRE(by_draw.size() == static_cast<std::size_t>(table.draws));
    CHECK(std::accumulate(by_draw.begin(), by_draw.end(), 0.0) / static_cast<double>(by_draw.size()) ==
          Approx(pixels.accuracy).epsilon(1e-12));
  }
  for (const auto& row : table.rows) {
    INFO(row.method << " " << row.readout);
    CHECK(row.accuracy > 0.4);
    CHECK(row.accuracy <= 1.0);
    CHECK((row.lambda > 0.0) == (row.readout == "ridge" || row.readout == "logistic"));
    const bool trained =
        row.method == "vae" || row.method == "masked_contrastive" || row.method == "supervised";
    CHECK((row.setting.find("steps") != std::string::npos) == trained);
  }
}

TEST_CASE("the table does not depend on the number of threads, and does on the seed") {
  const auto data = gaussian_classes();
  auto options = small_options();
  options.methods = {"rule", "random", "kmeans", "supervised"};
  const auto table = [&] {
    return evaluation::evaluate_few_shot(kRule, data, options, [](std::int64_t, std::int64_t) {});
  };
  const auto one = table();
  options.threads = 3;
  const auto three = table();
  for (std::size_t i = 0; i < one.rows.size(); ++i) CHECK(one.rows[i].accuracy == three.rows[i].accuracy);
  options.seed = 1;
  CHECK(table().rows[4].accuracy != one.rows[4].accuracy);
}

TEST_CASE("methods and read-outs are those that were asked for") {
  auto options = small_options();
  options.methods = {"random", "pca"};
  options.readouts = {baselines::Readout::knn5};
  const auto table =
      evaluation::evaluate_few_shot(kRule, gaussian_classes(), options, [](std::int64_t, std::int64_t) {});
  REQUIRE(table.rows.size() == 2);
  CHECK(table.rows[1].method == "pca");
  CHECK(table.rows[1].readout == "knn5");
  CHECK(table.rows[1].accuracy > 0.9);
}

TEST_CASE("methods that train without labels have a row after each number of steps that was asked for") {
  auto options = small_options();
  options.steps = {1, 40, 70};
  options.methods = {"rule", "random", "vae"};
  options.readouts = {baselines::Readout::nearest_mean, baselines::Readout::ridge};
  options.statistics_examples = 500;
  const auto table =
      evaluation::evaluate_few_shot(kRule, gaussian_classes(), options, [](std::int64_t, std::int64_t) {});
  REQUIRE(table.rows.size() == 2 * (3 + 1 + 3));
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    const auto& row = table.rows[i];
    INFO(i << " " << row.method);
    const bool random = row.method == "random", vae = row.method == "vae";
    CHECK(row.steps == (random ? 0 : options.steps[(i < 6 ? i : i - 8) % 3]));
    CHECK(row.setting == (random ? "" : std::to_string(row.steps) + " steps"));
    CHECK(std::isfinite(row.loss) == vae);
    if (row.method == "rule") CHECK(row.minus_random == 0.0);
    CHECK(std::isnan(row.rule_minus));  // a rule at several steps has more than one row
  }
  CHECK(table.rows[10].loss < table.rows[8].loss);
  CHECK(table.rows[10].loss_ci95 > 0.0);
  options.statistics_examples = 0;
  const auto all =
      evaluation::evaluate_few_shot(kRule, gaussian_classes(), options, [](std::int64_t, std::int64_t) {});
  CHECK(all.rows[6].accuracy != table.rows[6].accuracy);  // statistics over other images
}

TEST_CASE("too few labelled examples, and a table without what it is compared with, are refused") {
  auto data = gaussian_classes();
  auto options = small_options();
  SECTION("labels") { options.labels_per_class = 401; }
  SECTION("nothing to compare with") { options.methods = {"rule"}; }
  SECTION("no such method") { options.methods = {"random", "autoencoder"}; }
  SECTION("no read-out") { options.readouts.clear(); }
  SECTION("no inner steps") { options.inner_steps = 0; }
  SECTION("empty minibatches") { options.minibatch = 0; }
  SECTION("steps from 0") { options.steps = {0, 3}; }
  SECTION("steps that do not rise") { options.steps = {3, 3}; }
  CHECK_THROWS_AS(evaluation::evaluate_few_shot(kRule, data, options, [](std::int64_t, std::int64_t) {}),
                  InputError);
}

namespace {

/// The same classes by their first four inputs.
FewShotData narrow_classes() {
  FewShotData data = gaussian_classes();
  for (rule::Matrix* x : {&data.train, &data.test}) {
    rule::Matrix narrow(x->rows, 4);
    for (std::int64_t i = 0; i < x->rows; ++i) std::copy_n(x->row(i), 4, narrow.row(i));
    *x = narrow;
  }
  return data;
}

}  // namespace

TEST_CASE("of a dataset of several groups there is one table, their mean within every draw") {
  auto options = small_options();
  options.methods = {"rule", "random", "pixels", "kmeans"};
  std::int64_t last = 0;
  const auto evaluate = [&](const FewShotData& data, std::int64_t expected) {
    return evaluation::evaluate_few_shot(kRule, data, options, [&](std::int64_t done, std::int64_t total) {
      CHECK(total == expected);
      last = done;
    });
  };
  auto both = gaussian_classes();
  both.others = {narrow_classes()};
  const auto wide = evaluate(gaussian_classes(), 8), narrow = evaluate(narrow_classes(), 8);
  const auto mean = evaluate(both, 16);
  CHECK(last == 16);
  CHECK(mean.groups == 2);
  CHECK(wide.groups == 1);
  CHECK(mean.draws == 6);
  CHECK(mean.base_model == "d-6-4");
  CHECK(mean.unlabelled == 2400);
  CHECK(mean.tested == 600);
  REQUIRE(mean.rows.size() == wide.rows.size());
  for (std::size_t i = 0; i < mean.rows.size(); ++i) {
    const auto &row = mean.rows[i], &a = wide.rows[i], &b = narrow.rows[i];
    INFO(row.method << " " << row.readout);
    CHECK(row.accuracy == Approx((a.accuracy + b.accuracy) / 2));
    CHECK(row.minus_random == Approx((a.minus_random + b.minus_random) / 2).margin(1e-12));
    CHECK(row.rule_minus == Approx((a.rule_minus + b.rule_minus) / 2).margin(1e-12));
    for (std::size_t d = 0; d < 6; ++d) CHECK(row.by_draw[d] == Approx((a.by_draw[d] + b.by_draw[d]) / 2));
    // The interval is over draws, each of them a mean, not over twelve pairs of draw and group.
    double squares = 0.0;
    for (const double accuracy : row.by_draw)
      squares += (accuracy - row.accuracy) * (accuracy - row.accuracy);
    CHECK(row.ci95 == Approx(1.96 * std::sqrt(squares / 5.0 / 6.0)).epsilon(1e-4));
    CHECK(row.lambda == (a.lambda == b.lambda ? a.lambda : 0.0));
    CHECK(row.setting == (a.setting == b.setting ? a.setting : ""));
  }
}

TEST_CASE("groups of a dataset are opened as others, every second row for the test") {
  const auto data = evaluation::open_few_shot_data({"tables", "", 14, data::ClassSplit::held_out, {}}, "");
  REQUIRE(data.others.size() > 10);
  const auto check = [](const FewShotData& world) {
    CHECK(world.size == 0);
    CHECK(world.classes == 20);
    CHECK((world.train.columns >= 8 && world.train.columns <= 200));
    CHECK(world.test.columns == world.train.columns);
    CHECK(std::abs(world.train.rows - world.test.rows) <= 20);
    REQUIRE(world.train_labels.size() == static_cast<std::size_t>(world.train.rows));
    REQUIRE(world.train.values.size() == static_cast<std::size_t>(world.train.rows * world.train.columns));
    CHECK(std::set<std::int32_t>(world.train_labels.begin(), world.train_labels.end()).size() == 20);
    CHECK(*std::max_element(world.test_labels.begin(), world.test_labels.end()) == 19);
  };
  check(data);
  for (const auto& world : data.others) check(world);
  CHECK(data.others[0].train.columns != data.train.columns);
}
