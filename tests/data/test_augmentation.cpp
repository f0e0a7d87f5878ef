// Augmentation of single examples, and of tasks.
#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "common/base/error.h"
#include "common/data/augmentation.h"
#include "common/data/task.h"
#include "tests/catch.h"
#include "tests/data/files.h"

namespace outerloop::tests {
namespace {

using data::Coefficients;

const rule::Random kNoise(1, 2, 3, rule::Purpose::noise);

std::vector<double> augmented(const Bytes& pixels, const Coefficients& coefficients, std::int64_t side,
                              std::uint32_t element = 0) {
  data::Augmenter augmenter(side, static_cast<std::int64_t>(pixels.size()));
  return augmenter(pixels.data(), coefficients, kNoise, element);
}

Bytes random_pixels(std::size_t count) {
  const rule::Random random(5, 0, 0, rule::Purpose::test);
  Bytes pixels;
  for (std::uint32_t i = 0; i < count; ++i) pixels.push_back(static_cast<std::uint8_t>(random.below(i, 256)));
  return pixels;
}

/// Checks [side, side] values against expected(row, column), in 0..255.
void check_image(const std::vector<double>& values, std::int64_t side,
                 const std::function<double(std::int64_t, std::int64_t)>& expected) {
  for (std::int64_t row = 0; row < side; ++row)
    for (std::int64_t column = 0; column < side; ++column) {
      INFO("row " << row << ", column " << column);
      CHECK(255.0 * values[static_cast<std::size_t>(row * side + column)] ==
            Approx(expected(row, column)).margin(1e-9));
    }
}

TEST_CASE("coefficients that are off leave an example as it is") {
  const Bytes pixels = random_pixels(25);
  check_image(augmented(pixels, {}, 5), 5,
              [&](auto row, auto column) { return pixels[static_cast<std::size_t>(5 * row + column)]; });
  CHECK(augmented(pixels, {}, 0) == augmented(pixels, {}, 5));
}

TEST_CASE("shifts go right and down, and the border goes on beyond the image") {
  const Bytes pixels = random_pixels(36);
  Coefficients c;
  c.shift_x = 2.0 / 6.0;
  c.shift_y = -1.0 / 6.0;
  check_image(augmented(pixels, c, 6), 6, [&](auto row, auto column) {
    const auto from_row = std::min<std::int64_t>(row + 1, 5);
    const auto from_column = std::max<std::int64_t>(column - 2, 0);
    return pixels[static_cast<std::size_t>(6 * from_row + from_column)];
  });
  c.shift_x = 0.5 / 6.0;
  c.shift_y = 0.0;
  check_image(augmented(pixels, c, 6), 6, [&](auto row, auto column) {
    const auto at = static_cast<std::size_t>(6 * row + column);
    return 0.5 * (pixels[at] + pixels[column > 0 ? at - 1 : at]);
  });
}

TEST_CASE("a quarter turn is clockwise") {
  const Bytes pixels = random_pixels(49);
  Coefficients c;
  c.rotation = std::acos(0.0);
  check_image(augmented(pixels, c, 7), 7, [&](auto row, auto column) {
    return pixels[static_cast<std::size_t>(7 * (6 - column) + row)];
  });
}

TEST_CASE("scaling enlarges about the middle") {
  Bytes pixels;
  for (int i = 0; i < 64; ++i) pixels.push_back(static_cast<std::uint8_t>(10 * (i % 8) + i / 8));
  Coefficients c;
  c.scale = 2.0;
  check_image(augmented(pixels, c, 8), 8, [&](auto row, auto column) {
    return 10.0 * (3.5 + (static_cast<double>(column) - 3.5) / 2.0) +
           (3.5 + (static_cast<double>(row) - 3.5) / 2.0);
  });
}

TEST_CASE("contrast is about the mean; inversion comes after it") {
  const Bytes pixels{0, 51, 102, 255};  // mean 102
  Coefficients c;
  c.contrast = 1.5;
  const std::vector<double> values = augmented(pixels, c, 0);
  for (std::size_t i = 0; i < 4; ++i) CHECK(255.0 * values[i] == Approx(102.0 + 1.5 * (pixels[i] - 102.0)));
  c.inverted = true;
  const std::vector<double> inverted = augmented(pixels, c, 0);
  for (std::size_t i = 0; i < 4; ++i) CHECK(inverted[i] == Approx(1.0 - values[i]));
}

TEST_CASE("noise is as wide as asked, nearly normal, its own for every example and repeatable") {
  const Bytes pixels(4099, 128);
  Coefficients c;
  c.noise = 0.25;
  const auto first = augmented(pixels, c, 0, 0);
  CHECK(first == augmented(pixels, c, 0, 0));
  const auto second = augmented(pixels, c, 0, 1);
  double mean = 0.0, square = 0.0, fourth = 0.0, product = 0.0;
  const auto count = static_cast<double>(pixels.size());
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    const double z = (first[i] - 128.0 / 255.0) / 0.25;
    mean += z / count;
    square += z * z / count;
    fourth += z * z * z * z / count;
    product += z * (second[i] - 128.0 / 255.0) / 0.25 / count;
  }
  CHECK(std::abs(mean) < 0.06);
  CHECK(std::abs(square - 1.0) < 0.08);
  CHECK(std::abs(fourth - 2.7) < 0.3);  // a sum of four uniform numbers; 3 is normal
  CHECK(std::abs(product) < 0.06);
  CHECK(first[4097] != first[4098]);
}

TEST_CASE("coefficients fill their ranges, and kinds that are off change nothing") {
  data::AugmentationOptions options;
  options.probability = 1.0;
  options.shift = 0.1;
  options.rotation = 30.0;
  options.scale = 0.2;
  options.contrast = 0.5;
  options.inversion = 0.3;
  options.noise = 0.15;
  const rule::Random random(9, 0, 0, rule::Purpose::example_augmentation);
  std::vector<double> low(6, 1e9), high(6, -1e9);
  int inverted = 0;
  constexpr int kDraws = 4000;
  for (std::uint32_t i = 0; i < kDraws; ++i) {
    const Coefficients c =
        draw_coefficients(options, random, i * static_cast<std::uint32_t>(data::kCoefficientElements));
    const double drawn[] = {c.shift_x / 0.1,
                            c.shift_y / 0.1,
                            c.rotation / (std::acos(0.0) / 3.0),
                            std::log(c.scale) / 0.2,
                            std::log(c.contrast) / 0.5,
                            2.0 * c.noise / 0.15 - 1.0};
    for (std::size_t k = 0; k < 6; ++k) {
      low[k] = std::min(low[k], drawn[k]);
      high[k] = std::max(high[k], drawn[k]);
    }
    inverted += c.inverted ? 1 : 0;
  }
  for (std::size_t k = 0; k < 6; ++k) {
    INFO("kind " << k);
    CHECK((low[k] >= -1.0 - 1e-9 && low[k] < -0.99));
    CHECK((high[k] <= 1.0 + 1e-9 && high[k] > 0.99));
  }
  CHECK(std::abs(inverted - 0.3 * kDraws) < 130);
  CHECK(options.enabled());
  const data::AugmentationOptions off;
  CHECK(!off.enabled());
  const Coefficients none = draw_coefficients(off, random, 0);
  CHECK((none.shift_x == 0.0 && none.shift_y == 0.0 && none.rotation == 0.0 && none.scale == 1.0));
  CHECK((none.contrast == 1.0 && !none.inverted && none.noise == 0.0));
}

TEST_CASE("options out of range are refused by their key") {
  const auto message = [](const std::function<void(data::AugmentationOptions&)>& change) {
    data::AugmentationOptions options;
    change(options);
    return refusal([&] { data::check_augmentation(options); });
  };
  holds(message([](auto& o) { o.probability = 1.5; }), "tasks.augmentation.probability: 1.5");
  holds(message([](auto& o) { o.shift = -0.1; }), "tasks.augmentation.shift");
  holds(message([](auto& o) { o.rotation = 181; }), "allowed is 0 to 180");
  holds(message([](auto& o) { o.scale = 2.5; }), "tasks.augmentation.scale");
  holds(message([](auto& o) { o.contrast = std::nan(""); }), "tasks.augmentation.contrast");
  holds(message([](auto& o) { o.inversion = 2; }), "tasks.augmentation.inversion");
  holds(message([](auto& o) { o.noise = 3; }), "tasks.augmentation.noise");
  holds(message([](auto& o) { o.target_scale = -1; }), "tasks.augmentation.target_scale");
}

/// Five classes of 20 random images of 6 × 6; all images of a class are equal.
std::shared_ptr<const data::Dataset> images() {
  auto result = std::make_shared<data::Dataset>();
  result->name = "d";
  result->size = 6;
  result->inputs = 36;
  result->examples_of_class.resize(5);
  const Bytes pixels = random_pixels(5 * 36);
  for (std::int32_t row = 0; row < 100; ++row) {
    const auto c = static_cast<std::size_t>(row % 5);
    result->labels.push_back(row % 5);
    result->examples_of_class[c].push_back(row);
    result->pixels.insert(result->pixels.end(), pixels.begin() + static_cast<std::ptrdiff_t>(36 * c),
                          pixels.begin() + static_cast<std::ptrdiff_t>(36 * (c + 1)));
  }
  for (int c = 0; c < 5; ++c) result->class_names.push_back(std::to_string(c));
  return result;
}

data::TaskOptions task_options(double probability) {
  data::TaskOptions options;
  options.sizes = {8, {1, 2}, {32, 48}, {10, 100}};
  options.way = {3, 3};
  options.subclasses = {1, 1};
  options.labelled_per_class = 4;
  options.output_units = 32;
  options.permute_probability = 1.0;
  options.augmentation.probability = probability;
  options.augmentation.shift = 0.2;
  options.augmentation.rotation = 20.0;
  options.augmentation.noise = 0.1;
  return options;
}

TEST_CASE("a share of tasks is augmented, and nothing else about a task changes") {
  const data::TaskDistribution plain(task_options(0.0), {{images(), 1.0}}, 3);
  const data::TaskDistribution some(task_options(0.25), {{images(), 1.0}}, 3);
  int count = 0;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const data::Task a = plain.sample(0, i);
    const data::Task b = some.sample(0, i);
    CHECK(!a.augmented);
    CHECK((a.classes == b.classes && a.permutation == b.permutation && a.inner_steps == b.inner_steps));
    CHECK((a.inverted == b.inverted && a.gain == b.gain && a.architecture.units == b.architecture.units));
    if (i < 20 && !b.augmented) CHECK(plain.step_data(a, 1).a.x == some.step_data(b, 1).a.x);
    count += b.augmented ? 1 : 0;
  }
  CHECK(std::abs(count - 250) < 60);
}

TEST_CASE("every example of an augmented task has coefficients of its own, before its permutation") {
  const auto dataset = images();
  data::TaskOptions options = task_options(1.0);
  options.invert_probability = 1.0;
  options.gain_jitter = 0.5;
  const data::TaskDistribution tasks(options, {{dataset, 1.0}}, 4);
  const data::Task task = tasks.sample(2, 5);
  REQUIRE(task.augmented);
  const rule::Random coefficients(4, 2, 5, rule::Purpose::example_augmentation);
  const rule::Random noise(4, 2, 5, rule::Purpose::noise);
  data::Augmenter augmenter(6, 36);
  constexpr std::uint32_t kStep = 7, kDrawn = 8 + 2 * 3 * 4;
  const rule::StepData step = tasks.step_data(task, kStep);
  CHECK(step.inner.x == tasks.step_data(task, kStep).inner.x);
  std::set<std::vector<double>> different;
  std::uint32_t place = kStep * kDrawn;
  const auto check_row = [&](const rule::Batch& batch, std::int64_t row) {
    const auto y = batch.y.begin() + 3 * row;
    const auto label = static_cast<std::size_t>(std::find(y, y + 3, 1.0) - y);
    const auto& pixels = dataset->pixels.data() + 36 * task.classes[label];
    const auto& values =
        augmenter(pixels, draw_coefficients(options.augmentation, coefficients, place * 8), noise, place);
    ++place;
    for (std::size_t i = 0; i < 36; ++i)
      CHECK(batch.x[static_cast<std::size_t>(36 * row) + i] ==
            Approx(task.gain * (1.0 - values[static_cast<std::size_t>(task.permutation[i])])));
    different.insert(values);
  };
  for (std::int64_t row = 0; row < 8; ++row) check_row(step.inner, row);
  for (std::int64_t c = 0; c < 3; ++c)
    for (const rule::Batch* batch : {&step.a, &step.b})
      for (std::int64_t i = 0; i < 4; ++i) check_row(*batch, 4 * c + i);
  CHECK(different.size() == kDrawn);
}

TEST_CASE("vectors are augmented by what needs no geometry") {
  auto vectors = std::make_shared<data::Dataset>(*images());
  vectors->size = 0;
  data::TaskOptions options = task_options(1.0);
  options.augmentation.noise = 0.0;
  const data::TaskDistribution moved(options, {{vectors, 1.0}}, 4);
  options.augmentation = {};
  const data::TaskDistribution plain(options, {{vectors, 1.0}}, 4);
  const data::Task task = moved.sample(0, 0);
  CHECK(task.augmented);
  const auto a = moved.step_data(task, 0).inner.x, b = plain.step_data(plain.sample(0, 0), 0).inner.x;
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i] == Approx(b[i]));
}

TEST_CASE("coefficients are targets behind the classes, centred and as wide as asked") {
  data::TaskOptions options = task_options(0.5);
  options.augmentation.scale = 0.3;
  options.augmentation.contrast = 0.4;
  options.augmentation.inversion = 0.2;
  options.augmentation.target_scale = 0.25;
  const data::TaskDistribution tasks(options, {{images(), 1.0}}, 4);
  constexpr std::int64_t kColumns = 7;  // shift along two axes, rotation, scale, contrast, inversion, noise
  std::vector<double> sum(kColumns), square(kColumns);
  double count = 0.0;
  for (std::uint32_t i = 0; i < 60; ++i) {
    const data::Task task = tasks.sample(0, i);
    const rule::StepData step = tasks.step_data(task, 2);
    CHECK(step.inner.targets == 3);
    CHECK(step.a.targets == (task.augmented ? 3 + kColumns : 3));
    if (!task.augmented) continue;
    const rule::Random random(4, 0, i, rule::Purpose::example_augmentation);
    const auto first = draw_coefficients(options.augmentation, random, (2 * 32 + 8) * 8);
    CHECK(step.a.y[3] == Approx(1.0 / 3.0 + 0.25 * std::sqrt(3.0) * first.shift_x / 0.2));
    CHECK(step.a.y[5] ==
          Approx(1.0 / 3.0 + 0.25 * std::sqrt(3.0) * first.rotation / (std::acos(0.0) * 2 / 9)));
    for (const rule::Batch* batch : {&step.a, &step.b})
      for (std::int64_t row = 0; row < batch->examples; ++row, ++count)
        for (std::int64_t k = 0; k < kColumns; ++k) {
          const double z = batch->y[static_cast<std::size_t>(row * batch->targets + 3 + k)] - 1.0 / 3.0;
          sum[static_cast<std::size_t>(k)] += z;
          square[static_cast<std::size_t>(k)] += z * z;
        }
  }
  for (std::size_t k = 0; k < kColumns; ++k) {
    INFO("column " << k);
    CHECK(std::abs(sum[k] / count) < 0.04);
    CHECK(std::sqrt(square[k] / count) == Approx(0.25).epsilon(0.15));
  }
}

TEST_CASE("vectors and rules that train on labels have no targets of geometry") {
  auto options = task_options(1.0);
  options.augmentation.target_scale = 0.25;
  auto vectors = std::make_shared<data::Dataset>(*images());
  vectors->size = 0;
  const data::TaskDistribution tasks(options, {{vectors, 1.0}}, 4);
  CHECK(tasks.step_data(tasks.sample(0, 0), 0).a.targets == 3 + 1);  // noise alone
  options.output_units = 0;
  const data::TaskDistribution supervised(options, {{images(), 1.0}}, 4);
  CHECK(supervised.step_data(supervised.sample(0, 0), 0).b.targets == 3);
}

}  // namespace
}  // namespace outerloop::tests
