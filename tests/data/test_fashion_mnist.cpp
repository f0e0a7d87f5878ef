// The real Fashion-MNIST: a separate executable, since it is skipped if the package is not installed.
#include <filesystem>
#include <numeric>

#include "common/data/dataset.h"
#include "common/data/mnist.h"
#include "tests/catch.h"

namespace outerloop::tests {
namespace {

TEST_CASE("Fashion-MNIST as published") {
  if (!std::filesystem::is_directory(data::kFashionMnistFolder))
    skip("needs dataset-fashion-mnist: apt-get install dataset-fashion-mnist");
  const auto all = data::open_dataset({"fashion_mnist", "", 28, {}, {}}, "");
  CHECK(all->examples() == 70000);
  CHECK(all->classes() == 10);
  for (const auto& rows : all->examples_of_class) CHECK(rows.size() == 7000);
  CHECK(all->class_names[static_cast<std::size_t>(all->labels[0])] == "Ankle boot");
  CHECK(all->class_names[static_cast<std::size_t>(all->labels[60000])] == "Ankle boot");
  // Published mean of the training images: 72.94 of 255.
  const auto train_end = all->pixels.begin() + 60000 * 784;
  CHECK(std::accumulate(all->pixels.begin(), train_end, 0.0) / (60000.0 * 784.0) ==
        Approx(72.94).epsilon(1e-4));

  const auto test = data::open_dataset({"fashion_mnist", "", 14, {}, data::Part::test}, "");
  CHECK(test->examples() == 10000);
  CHECK(test->inputs == 196);
  // 28 to 14: every pixel is the rounded mean of four.
  for (std::size_t i = 0; i < 196; ++i) {
    const std::size_t at = 60000 * 784 + 2 * (i / 14) * 28 + 2 * (i % 14);
    const int sum = all->pixels[at] + all->pixels[at + 1] + all->pixels[at + 28] + all->pixels[at + 29];
    CHECK(int{test->pixels[i]} == (sum + 2) / 4);
  }
}

}  // namespace
}  // namespace outerloop::tests
