// Draws that are trained side by side: the same numbers as one by one.
#include <limits>

#include "common/base/error.h"
#include "common/evaluation/explained_variance.h"
#include "common/evaluation/few_shot.h"
#include "common/rule/random.h"
#include "tests/catch.h"
#include "tests/evaluation/small_engine.h"

using namespace outerloop;
using evaluation::FewShotData;
using evaluation::FewShotOptions;

namespace {

FewShotData random_classes() {
  FewShotData data;
  data.name = "random";
  data.classes = 3;
  const rule::Random random(5, 0, 0, rule::Purpose::test);
  std::uint32_t element = 0;
  const auto fill = [&](rule::Matrix& x, std::vector<std::int32_t>& labels, std::int64_t rows) {
    x = rule::Matrix(rows, 9);
    for (std::int64_t i = 0; i < rows; ++i) labels.push_back(static_cast<std::int32_t>(i % 3));
    for (std::size_t i = 0; i < x.values.size(); ++i)
      x.values[i] = static_cast<float>(random.uniform(element++) + (i % 9 == i / 9 % 3 ? 1.0 : 0.0));
  };
  fill(data.train, data.train_labels, 90);
  fill(data.test, data.test_labels, 60);
  return data;
}

FewShotOptions small_options(std::int64_t lanes) {
  FewShotOptions options;
  options.draws = 5;
  options.selection_draws = 2;
  options.inner_steps = 40;  // more than one chunk
  options.minibatch = 8;
  options.hidden = {6};
  options.methods = {"rule", "untrained", "random", "pixels"};
  options.lanes = lanes;
  return options;
}

void no_progress(std::int64_t, std::int64_t) {}

std::unique_ptr<rule::Engine> engine_of(rule::EngineKind kind) {
  return tests::small_engine("neuron_local", tests::cpu_engine(kind, rule::Precision::float64));
}

evaluation::RuleUnderTest rule_of(rule::EngineKind kind) {
  const auto layout = engine_of(kind)->theta_layout();
  return {[kind] { return engine_of(kind); }, rule::initial_theta(layout, 1), rule::initial_theta(layout, 2)};
}

void check_equal(const evaluation::FewShotTable& a, const evaluation::FewShotTable& b) {
  REQUIRE(a.rows.size() == b.rows.size());
  for (std::size_t i = 0; i < a.rows.size(); ++i) {
    INFO(a.rows[i].method << " " << a.rows[i].readout << " " << a.rows[i].setting);
    CHECK(a.rows[i].method == b.rows[i].method);
    CHECK(a.rows[i].steps == b.rows[i].steps);
    CHECK(a.rows[i].lambda == b.rows[i].lambda);
    CHECK(a.rows[i].by_draw == b.rows[i].by_draw);
  }
}

void check_lanes(rule::EngineKind kind) {
  const auto rule = rule_of(kind);
  const auto data = random_classes();
  const auto table = [&](const FewShotOptions& options) {
    return evaluation::evaluate_few_shot(rule, data, options, no_progress);
  };
  for (const bool curve : {false, true}) {
    auto options = small_options(1);
    if (curve) options.steps = {1, 3, 40};
    const auto alone = table(options);
    CHECK(alone.rows.front().by_draw != alone.rows[4].by_draw);  // the rules differ
    for (const std::int64_t lanes : {3, 16}) {
      INFO(lanes << " lanes");
      options.lanes = lanes;
      options.threads = lanes == 3 ? 2 : 1;
      check_equal(alone, table(options));
    }
  }
}

/// Notes the number of lanes of each call, and changes no φ. If it `breaks`, the last lane's becomes
/// infinite.
class WatchedEngine : public tests::ToyEngine {
 public:
  WatchedEngine(std::vector<std::size_t>& calls, bool breaks)
      : ToyEngine(2), calls_(calls), breaks_(breaks) {}

  std::vector<std::vector<double>> unrolls(const rule::Architecture&, const std::vector<double>&,
                                           const std::vector<rule::UnrollLane>& lanes) override {
    calls_.push_back(lanes.size());
    std::vector<std::vector<double>> result;
    for (const auto& lane : lanes) result.push_back(lane.phi);
    if (breaks_) result.back().back() = std::numeric_limits<double>::infinity();
    return result;
  }

 private:
  std::vector<std::size_t>& calls_;
  bool breaks_;
};

}  // namespace

TEST_CASE("a table has the same numbers for any number of draws side by side") {
  check_lanes(rule::EngineKind::fused);
}

#ifdef OUTERLOOP_TEST_REFERENCE
TEST_CASE("a table has the same numbers for any number of draws side by side on LibTorch") {
  check_lanes(rule::EngineKind::reference);
}
#endif

TEST_CASE("draws are trained in blocks of as many as there are lanes, the last with the rest") {
  std::vector<std::size_t> calls;
  const evaluation::RuleUnderTest rule{
      [&] { return std::make_unique<WatchedEngine>(calls, false); }, {0.0, 0.0}, {0.0, 0.0}};
  const auto data = random_classes();
  auto options = small_options(3);
  options.methods = {"rule", "random"};
  std::vector<std::int64_t> done;
  evaluation::evaluate_few_shot(rule, data, options, [&](std::int64_t now, std::int64_t total) {
    CHECK(total == 7);
    done.push_back(now);
  });
  CHECK(done == std::vector<std::int64_t>{2, 5, 7});
  CHECK(calls == std::vector<std::size_t>{2, 2, 3, 3, 2, 2});  // 40 inner steps are two calls
  calls.clear();
  evaluation::explained_variance(rule, data, options, 3, no_progress);
  CHECK(calls == std::vector<std::size_t>{3, 3, 2, 2});
  options.lanes = 0;
  CHECK_THROWS_AS(evaluation::evaluate_few_shot(rule, data, options, no_progress), Error);
}

TEST_CASE("explained variance is the same for any number of draws side by side") {
  const auto rule = rule_of(rule::EngineKind::fused);
  const auto data = random_classes();
  const auto at = [&](std::int64_t lanes) {
    auto options = small_options(lanes);
    options.methods = {"rule", "random"};
    return evaluation::explained_variance(rule, data, options, 4, no_progress);
  };
  const auto alone = at(1), three = at(3);
  REQUIRE(alone.size() == three.size());
  for (std::size_t m = 0; m < alone.size(); ++m)
    for (std::size_t k = 0; k < alone[m].cumulative.size(); ++k) {
      CHECK(alone[m].cumulative[k].mean == three[m].cumulative[k].mean);
      CHECK(alone[m].cumulative[k].half_width == three[m].cumulative[k].half_width);
    }
}

TEST_CASE("one draw of a block that does not stay finite ends the evaluation as one alone does") {
  std::vector<std::size_t> calls;
  const evaluation::RuleUnderTest rule{
      [&] { return std::make_unique<WatchedEngine>(calls, true); }, {0.0, 0.0}, {0.0, 0.0}};
  for (const std::int64_t lanes : {1, 3, 16}) {
    try {
      evaluation::evaluate_few_shot(rule, random_classes(), small_options(lanes), no_progress);
      FAIL("an infinite φ was accepted");
    } catch (const Error& error) {
      CHECK(error.what() == std::string("evaluate: φ is not finite after 40 steps"));
    }
  }
}
