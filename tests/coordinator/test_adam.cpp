// Adam and the batch of gradients, against numbers worked out by hand.
#include <cmath>
#include <limits>

#include "common/base/error.h"
#include "coordinator/adam.h"
#include "coordinator/gradient_batch.h"
#include "coordinator/smoothed_objective.h"
#include "tests/catch.h"

using namespace outerloop::coordinator;
using Numbers = std::vector<float>;

TEST_CASE("the first step of Adam has the size of the learning rate, whatever the gradient's scale") {
  Adam adam({0.1, 0.9, 0.999, 1e-8, 0}, 3);
  std::vector<double> theta = {1.0, 1.0, 1.0};
  adam.update(theta, {1e-3, -50.0, 0.0});
  CHECK(theta[0] == Approx(0.9).epsilon(1e-4));
  CHECK(theta[1] == Approx(1.1));
  CHECK(theta[2] == 1.0);  // a gradient of exactly zero moves nothing
}

TEST_CASE("an Adam without epsilon is refused") {
  CHECK_THROWS_AS(Adam({0.1, 0.9, 0.999, 0.0, 0}, 1), outerloop::Error);
  CHECK_THROWS_AS(Adam(AdamOptions{}, 1), outerloop::Error);
}

TEST_CASE("two steps of Adam follow the recurrences") {
  Adam adam({0.1, 0.9, 0.999, 1e-8, 0}, 1);
  std::vector<double> theta = {0.0};
  adam.update(theta, {1.0});
  adam.update(theta, {3.0});
  const double m = 0.9 * 0.1 * 1.0 + 0.1 * 3.0;
  const double v = 0.999 * 0.001 * 1.0 + 0.001 * 9.0;
  const double second = 0.1 * (m / (1 - 0.81)) / (std::sqrt(v / (1 - 0.999 * 0.999)) + 1e-8);
  CHECK(theta[0] == Approx(-0.1 - second).epsilon(1e-6));
  CHECK(adam.step() == 2);
}

TEST_CASE("the learning rate warms up linearly") {
  Adam adam({0.8, 0.9, 0.999, 1e-8, 4}, 1);
  std::vector<double> theta = {0.0};
  for (const double expected : {0.2, 0.4, 0.6, 0.8, 0.8}) {
    CHECK(adam.learning_rate() == Approx(expected));
    adam.update(theta, {1.0});
  }
}

TEST_CASE("a restored Adam goes on to the same bits, and θ is always a float32") {
  Adam one({0.01, 0.9, 0.999, 1e-8, 10}, 2), two({0.01, 0.9, 0.999, 1e-8, 10}, 2);
  std::vector<double> a = {0.3f, -0.7f};
  for (int i = 0; i < 5; ++i) one.update(a, {0.1 * i, 0.2});
  auto b = a;
  two.restore(one.m(), one.v(), one.step());
  one.update(a, {0.5, 0.5});
  two.update(b, {0.5, 0.5});
  CHECK(a == b);
  CHECK(a[0] == static_cast<double>(static_cast<float>(a[0])));
}

TEST_CASE("a batch gives the mean, its norm and the clipped mean") {
  GradientBatch batch(2);
  batch.add(Numbers{3.0f, 0.0f}, {{1, 1.0, 3.0, 0, "a"}});
  batch.add(Numbers{3.0f, 8.0f}, {{2, 2.0, 8.5, 2, "b"}});
  BatchSummary summary;
  const auto mean = batch.take(2, 2.5, summary);
  CHECK(summary.gradient_norm == Approx(5.0));  // of (3, 4)
  CHECK(mean[0] == Approx(1.5));
  CHECK(mean[1] == Approx(2.0));
  CHECK(summary.meta_objective == Approx(1.5));
  CHECK(summary.staleness_mean == Approx(1.0));
  CHECK(summary.staleness_max == 2);
  CHECK(summary.unique_workers == 2);
  CHECK(summary.meta_objective_of.at("b") == Approx(2.0));
  CHECK(summary.gradient_norm_of.at("b") == Approx(8.5));
  CHECK(summary.gradient_cosine == Approx(3.0 / std::sqrt(73.0)));  // of a pair: the weights cancel
  batch.add(Numbers{1.0f, 0.0f}, {{1, 1.0, 1.0, 0, "a"}});
  CHECK(batch.take(1, 0.0, summary)[0] == Approx(1.0));  // emptied in between
  CHECK(std::isnan(summary.gradient_cosine));
  for (const float sign : {1.0f, 1.0f, -1.0f}) batch.add(Numbers{sign, 2.0f * sign}, {{1, 1.0, 1.0, 0, "a"}});
  batch.add(Numbers{0.0f, 0.0f}, {{1, 1.0, 0.0, 0, "a"}});  // has no direction
  batch.take(4, 0.0, summary);
  CHECK(summary.gradient_cosine == Approx(-1.0 / 3.0));  // of (1, -1, -1)
  // Pairs weigh by the product of their norms: 1 · 2 · 1 and twice 0.
  for (const Numbers& gradient : {Numbers{1, 0}, {2, 0}, {0, 3}})
    batch.add(gradient, {{1, 1.0, 1.0, 0, "a"}});
  batch.take(3, 0.0, summary);
  CHECK(summary.gradient_cosine == Approx(2.0 / (2.0 + 3.0 + 6.0)));
}

TEST_CASE("a refused gradient leaves no trace in a batch, wherever its number is that is not finite") {
  constexpr std::size_t kNumbers = 37;  // whole lanes and a rest
  const float infinite = std::numeric_limits<float>::infinity();
  for (const float wrong : {infinite, -infinite, std::nanf("")})
    for (std::size_t at = 0; at < kNumbers; ++at) {
      GradientBatch batch(kNumbers, 1e6), expected(kNumbers, 1e6);
      std::vector<float> good(kNumbers, 0.1f), bad(kNumbers, 1e30f);
      bad[at] = wrong;
      for (auto* b : {&batch, &expected}) CHECK(b->add(good, {{1, 1.0, 1.0, 0, "a"}}) == Refusal::none);
      CHECK(batch.add(bad, {{1, 1.0, 1.0, 0, "a"}}) == Refusal::not_finite);
      CHECK(batch.refusal(bad) == Refusal::not_finite);
      bad[at] = 1e30f;  // finite now, but far too large, whatever its header says
      CHECK(batch.add(bad, {{1, 1.0, 1.0, 0, "a"}}) == Refusal::norm);
      for (auto* b : {&batch, &expected}) CHECK(b->add(good, {{1, 1.0, 1.0, 0, "a"}}) == Refusal::none);
      BatchSummary summary, same;
      CHECK(batch.take(2, 0.0, summary) == expected.take(2, 0.0, same));
      CHECK(summary.gradients == 2);
      CHECK(summary.gradient_cosine == same.gradient_cosine);
    }
}

TEST_CASE("the running mean counts every dataset alike, and goes on from a history") {
  SmoothedObjective smooth;
  CHECK(smooth.mean() == 0.0);
  SmoothedObjective::History history;
  smooth.add("a", 1.0);
  smooth.append_to(history);
  for (int i = 0; i < 9; ++i) smooth.add("a", 1.0);
  smooth.add("b", 3.0);  // one of eleven gradients, half of the mean
  CHECK(smooth.mean() == Approx(2.0));
  smooth.add("b", 2.0);
  smooth.append_to(history);
  CHECK(history.at("meta_objective_smooth") == std::vector<double>{1.0, 1.75});
  CHECK(history.at("meta_objective_smooth.a").size() == 2);
  CHECK(std::isnan(history.at("meta_objective_smooth.b")[0]));
  CHECK(history.at("meta_objective_smooth.b")[1] == Approx(2.5));
  std::map<std::string, std::int64_t> counters;
  smooth.count_into(counters);
  CHECK(counters == std::map<std::string, std::int64_t>{{"smoothed.a", 10}, {"smoothed.b", 2}});
  SmoothedObjective resumed;
  resumed.go_on_from(history, counters);
  CHECK(resumed.mean() == Approx(1.75));
  resumed.add("b", 7.0);
  smooth.add("b", 7.0);
  CHECK(resumed.mean() == smooth.mean());  // the weights are known too
}
