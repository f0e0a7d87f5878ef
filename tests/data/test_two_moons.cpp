// Two moons in the plane.
#include <cmath>

#include "common/data/dataset.h"
#include "common/data/two_moons.h"
#include "tests/catch.h"
#include "tests/data/files.h"

namespace outerloop::tests {
namespace {

TEST_CASE("points lie on their moon, within the noise") {
  data::DatasetRequest request{"two_moons", "", 14, {}, {}};
  request.scaling = data::ScalingKind::none;
  const auto moons = data::open_dataset(request, "");
  CHECK(moons->size == 0);
  CHECK(moons->inputs == 2);
  CHECK(moons->classes() == 2);
  REQUIRE(moons->examples() == 2 * data::kMoonPoints);
  double squares = 0.0;
  for (std::size_t i = 0; i < moons->labels.size(); ++i) {
    const double x = -1.5 + 4.0 * moons->pixels[2 * i] / 255.0;
    const double y = -1.25 + 3.0 * moons->pixels[2 * i + 1] / 255.0;
    const bool lower = moons->labels[i] == 1;
    const double radius = std::hypot(x - (lower ? 1.0 : 0.0), y - (lower ? 0.5 : 0.0));
    squares += (radius - 1.0) * (radius - 1.0) / static_cast<double>(moons->labels.size());
    CHECK(std::abs(radius - 1.0) < 0.5);
  }
  CHECK(std::sqrt(squares) == Approx(data::kMoonNoise).epsilon(0.05));
}

TEST_CASE("the parts share no draws, and the score is the place along the moon") {
  const auto train = data::make_two_moons(data::Part::train);
  const auto test = data::make_two_moons(data::Part::test);
  CHECK(train.pixels != test.pixels);
  CHECK(train.pixels == data::make_two_moons(data::Part::train).pixels);
  for (std::size_t i = 0; i < train.labels.size(); ++i) {
    const double sign = train.labels[i] == 0 ? 1.0 : -1.0;
    const double x = -1.5 + 4.0 * train.pixels[2 * i] / 255.0 - (train.labels[i] == 0 ? 0.0 : 1.0);
    CHECK(std::abs(sign * x - std::cos(1.5707963 * (train.scores[i] + 1.0))) < 0.6);
  }
  holds(refusal([&] { data::open_dataset({"two_moons", "/somewhere", 14, {}, {}}, ""); }), "leave it out");
}

}  // namespace
}  // namespace outerloop::tests
