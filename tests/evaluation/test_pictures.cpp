// Data of the figures about a base model, and a rule applied to a user's own array.
#include <cmath>
#include <fstream>

#include "common/base/error.h"
#include "common/data/dataset.h"
#include "common/data/npy.h"
#include "common/data/rows.h"
#include "common/data/scaling.h"
#include "common/evaluation/apply.h"
#include "common/evaluation/explained_variance.h"
#include "common/evaluation/few_shot_data.h"
#include "common/evaluation/few_shot_draw.h"
#include "common/evaluation/file_features.h"
#include "common/evaluation/pictures.h"
#include "common/rule/phi.h"
#include "common/rule/random.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "tests/toy_engine.h"

using namespace outerloop;

namespace {

const evaluation::RuleUnderTest kRule{
    [] { return std::make_unique<tests::ToyEngine>(2); }, {0.0, 0.0}, {0.0, 0.0}};

const evaluation::ApplyOptions kBrief{{4}, 1, 2, 0};

/// float32 of any shape, as NumPy writes it.
void write_npy(const std::string& path, const std::string& shape, const std::vector<float>& numbers) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }\n";
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += {static_cast<char>(header.size()), 0};
  bytes += header;
  bytes.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(float));
  std::ofstream(path, std::ios::binary) << bytes;
}

/// Examples in three classes; the deviations of the pixels are a decreasing series.
evaluation::FewShotData falling_pixels() {
  evaluation::FewShotData data;
  data.name = "falling";
  data.size = 3;
  data.classes = 3;
  const rule::Random random(8, 0, 0, rule::Purpose::test);
  data.train = data.test = rule::Matrix(600, 9);
  for (std::int64_t i = 0; i < 600; ++i) {
    data.train_labels.push_back(static_cast<std::int32_t>(i % 3));
    for (int p = 0; p < 9; ++p)
      data.train.row(i)[p] =
          static_cast<float>(random.normal(static_cast<std::uint32_t>(9 * i + p)) * std::pow(0.5, p));
  }
  data.test = data.train;
  data.test_labels = data.train_labels;
  return data;
}

evaluation::FewShotOptions small_options() {
  evaluation::FewShotOptions options;
  options.draws = 3;
  options.inner_steps = 100;
  options.minibatch = 64;
  options.hidden = {6};
  options.test_examples = 500;
  return options;
}

}  // namespace

TEST_CASE("explained variance of pixels is that of their deviations, and rises to one") {
  auto options = small_options();
  options.methods = {"rule", "random", "pixels"};
  std::int64_t heard = 0;
  const auto found = evaluation::explained_variance(kRule, falling_pixels(), options, 7,
                                                    [&](std::int64_t, std::int64_t total) {
                                                      ++heard;
                                                      CHECK(total == 3);
                                                    });
  CHECK(heard == 3);
  REQUIRE(found.size() == 3);
  REQUIRE(found[2].method == "pixels");
  REQUIRE(found[2].cumulative.size() == 7);
  for (std::size_t k = 0; k < 7; ++k) {
    // Σ 4^-i over i <= k, of Σ over i < 9.
    const double expected = (1.0 - std::pow(0.25, k + 1)) / (1.0 - std::pow(0.25, 9));
    CHECK(found[2].cumulative[k].mean == Approx(expected).margin(0.03));
    CHECK(found[2].cumulative[k].half_width == Approx(0.0).margin(1e-12));  // every draw has the same pixels
  }
  // The toy's base model has four outputs.
  REQUIRE(found[0].cumulative.size() == 4);
  CHECK(found[0].cumulative[3].mean == Approx(1.0));
  CHECK(found[0].cumulative[0].mean < 1.0);
  CHECK(found[0].cumulative[0].mean == found[1].cumulative[0].mean);  // its rule changes nothing
  CHECK(found[0].cumulative[0].half_width > 0.0);
  options.methods = {"random", "vae"};
  CHECK_THROWS_AS(
      evaluation::explained_variance(kRule, falling_pixels(), options, 7, [](std::int64_t, std::int64_t) {}),
      Error);
}

TEST_CASE("filters are the first layer's weights, pixels in their own order") {
  const auto data = falling_pixels();
  const auto options = small_options();
  const auto found = evaluation::first_layer_filters(kRule, data, options, {0, 5}, 4);
  REQUIRE(found.size() == 2);
  CHECK(found[1].step == 5);
  const auto engine = kRule.make_engine();
  const evaluation::DrawSampler draws(*engine, data, options);
  const auto draw = draws.sample(0);
  const auto W = rule::phi_layout(engine->rule(), draws.architecture()).at("1/W");
  REQUIRE(found[0].units.size() == 4);
  for (std::size_t unit = 0; unit < 4; ++unit)
    for (std::size_t i = 0; i < 9; ++i)  // the model's input i is pixel permutation[i]
      CHECK(found[0].units[unit][static_cast<std::size_t>(draw.permutation[i])] ==
            draw.start[static_cast<std::size_t>(W.offset) + i * 6 + unit]);
}

TEST_CASE("embeddings are three components of each test example, labelled") {
  const auto data = falling_pixels();
  const auto options = small_options();
  const auto found = evaluation::embeddings(kRule, data, options, {0, 2, 40});
  REQUIRE(found.size() == 3);
  const auto labels = evaluation::embedded_labels(data, options);
  REQUIRE(labels.size() == 500);
  for (const auto& view : found) {
    CHECK(view.points.rows == 500);
    CHECK(view.points.columns == 3);
    REQUIRE(view.share.size() == 3);
    CHECK(view.share[0] > view.share[1]);
    CHECK(view.share[0] + view.share[1] + view.share[2] <= 1.0 + 1e-9);
    CHECK(view.points.values == found[0].points.values);  // the toy's rule changes nothing, signs included
  }
}

TEST_CASE("a kept model holds the scaling of its inputs: images together, others by columns or as they are") {
  const tests::TemporaryFolder folder;
  const auto engine = kRule.make_engine();
  const auto scaling_of = [&](const std::string& shape, const std::vector<float>& numbers,
                              const evaluation::ScalingChoice& choice) {
    write_npy(folder / "x.npy", shape, numbers);
    const auto rows = data::open_rows(folder / "x.npy", {}, nullptr);
    return evaluation::train_on_rows(*engine, kRule.theta, *rows, choice, kBrief, 2, "x.npy").scaling;
  };
  const std::vector<float> numbers = {1, 10, 7, 2, 30, 7, 5, 20, 7};
  const evaluation::ScalingChoice by_columns{false, data::ScalingKind::columns, true};
  const auto columns = scaling_of("(3, 3)", numbers, by_columns);
  CHECK(columns.kind == "columns");
  CHECK(columns.columns == 3);
  const data::Scaling levels{data::ScalingKind::columns, 3, columns.numbers};
  CHECK(levels.level(0, 2) == 64);
  CHECK(levels.level(1, 30) == 255);
  CHECK(levels.level(2, 7) == 0);
  const auto together = scaling_of("(3, 1, 3)", numbers, by_columns);
  CHECK(together.kind == "linear");
  CHECK(together.numbers == std::vector<double>{1, 30});
  const auto as_they_are = scaling_of("(3, 3)", numbers, {true, data::ScalingKind::columns, true});
  CHECK(as_they_are.kind == "linear");
  CHECK(as_they_are.numbers == std::vector<double>{0, 1});
  CHECK(scaling_of("(2, 1, 1)", {-3e38f, 3e38f}, by_columns).numbers == std::vector<double>{-3e38f, 3e38f});
}

TEST_CASE("training, evaluation and apply see the same levels of an array") {
  const tests::TemporaryFolder folder;
  constexpr std::int64_t kRows = 200, kColumns = 3;
  rule::Matrix numbers(kRows, kColumns);
  for (std::int64_t i = 0; i < kRows; ++i) {
    const auto u = static_cast<float>((i * 37) % kRows);
    numbers.row(i)[0] = u * u * u;                  // heavy-tailed
    numbers.row(i)[1] = i % 40 == 0 ? 3.0f : 0.0f;  // sparse
    numbers.row(i)[2] = -5.0f;                      // constant
  }
  const std::string file = folder / "x.npy";
  std::ofstream(file, std::ios::binary) << data::npy_of(numbers);
  const auto engine = kRule.make_engine();
  for (const auto kind : {data::ScalingKind::quantiles, data::ScalingKind::ranks, data::ScalingKind::array}) {
    data::DatasetRequest request{"npy", file, 14, {}, {}};
    request.scaling = kind;
    const auto dataset = data::open_dataset(request, "");
    const auto few_shot = evaluation::open_few_shot_data(request, "");
    const auto rows = data::open_rows(file, {}, nullptr);
    const auto kept =
        evaluation::train_on_rows(*engine, kRule.theta, *rows, {false, kind, true}, kBrief, 2, file).scaling;
    const data::Scaling applied{data::scaling_of_name(kept.kind), kept.columns, kept.numbers};
    for (std::int64_t i = 0; i < kRows; ++i) {
      const float* evaluated = (i % 2 ? few_shot.test : few_shot.train).row(i / 2);
      for (std::int64_t j = 0; j < kColumns; ++j) {
        const int level = applied.level(j, static_cast<double>(numbers.row(i)[j]));
        CHECK(static_cast<float>(level) / 255.0f == evaluated[j]);
        CHECK(level == dataset->example(i)[j]);
      }
    }
  }
}

TEST_CASE("applying a rule gives the features of its base model on all examples") {
  const auto x = falling_pixels().train;
  evaluation::ApplyOptions options;
  options.hidden = {6, 5};
  options.inner_steps = 3;
  options.minibatch = 32;
  const auto engine = kRule.make_engine();
  const auto features = evaluation::apply_rule(*engine, kRule.theta, x, options);
  CHECK(features.rows == 600);
  CHECK(features.columns == 4);
  CHECK(features.values == evaluation::apply_rule(*engine, kRule.theta, x, options).values);
  // relu(BN0(.)) over all examples: no unit is constant, none negative.
  for (std::int64_t j = 0; j < 4; ++j) {
    float largest = 0;
    for (std::int64_t i = 0; i < 600; ++i) {
      CHECK(features.row(i)[j] >= 0);
      largest = std::max(largest, features.row(i)[j]);
    }
    CHECK(largest > 0);
  }
  options.seed = 1;
  CHECK(features.values != evaluation::apply_rule(*engine, kRule.theta, x, options).values);
  options.minibatch = 0;
  CHECK_THROWS_AS(evaluation::apply_rule(*engine, kRule.theta, x, options), InputError);
  CHECK_THROWS_AS(evaluation::apply_rule(*engine, kRule.theta, x, evaluation::ApplyOptions{}), InputError);
}
