// What a run says of its domains: meta-objectives, cosines between gradients, and a conflict.
#include <cmath>
#include <limits>

#include "common/rule/random.h"
#include "common/store/stream_message.h"
#include "coordinator/coordinator.h"
#include "coordinator/domain_conflict.h"
#include "coordinator/domain_cosines.h"
#include "tests/catch.h"
#include "tests/coordinator/options.h"
#include "tests/coordinator/recorder.h"

using namespace outerloop;
using namespace outerloop::coordinator;
using data::Domain;
using Numbers = std::vector<float>;

namespace {

void add(DomainCosines& cosines, Domain domain, const Numbers& gradient) {
  double squares = 0.0;
  for (const float value : gradient) squares += static_cast<double>(value) * value;
  cosines.add(domain, gradient, squares);
}

/// A column of 1,000 rows from `first` to `last`, with noise.
std::vector<double> column(double first, double last, double noise, std::uint32_t seed) {
  const rule::Random random(seed, 0, 0, rule::Purpose::test);
  std::vector<double> result;
  for (std::uint32_t i = 0; i < kConflictUpdates; ++i)
    result.push_back(first + (last - first) * i / (kConflictUpdates - 1) + noise * random.normal(i));
  return result;
}

using History = std::map<std::string, std::vector<double>>;

std::string domain_column(const std::string& domain) { return std::string(kDomainColumn) + "." + domain; }

}  // namespace

TEST_CASE("cosines within domains and between them, pairs weighted by the product of their norms") {
  DomainCosines cosines;
  CHECK(cosines.take().empty());
  add(cosines, Domain::images, {1, 0, 0});
  add(cosines, Domain::images, {2, 0, 0});
  add(cosines, Domain::images, {0, 3, 0});
  add(cosines, Domain::tables, {-4, 0, 0});
  add(cosines, Domain::texts, {0, 0, 0});  // has no direction
  auto found = cosines.take();
  CHECK(found.size() == 2);
  CHECK(found.at("images") == Approx(2.0 / (2.0 + 3.0 + 6.0)));
  CHECK(found.at("images-tables") == Approx(-12.0 / (6.0 * 4.0)));
  add(cosines, Domain::texts, {1, 1, 0});
  add(cosines, Domain::texts, {1, -1, 0});
  add(cosines, Domain::tables, {0, 0, 5});
  add(cosines, Domain::tables, {0, 0, 7});
  found = cosines.take();
  CHECK(found.size() == 3);
  CHECK(found.at("texts") == Approx(0.0).margin(1e-12));
  CHECK(found.at("tables") == Approx(1.0));
  CHECK(found.at("texts-tables") == Approx(0.0).margin(1e-12));
  add(cosines, Domain::texts, {1, 1, 0});
  cosines.clear();
  CHECK(cosines.take().empty());
}

TEST_CASE("a window is the last ten updates of every hundred") {
  CHECK_FALSE(DomainCosines::watches(89));
  CHECK(DomainCosines::watches(90));  // makes update 91
  CHECK(DomainCosines::watches(99));
  CHECK_FALSE(DomainCosines::watches(100));
  CHECK(DomainCosines::ends(100));
  CHECK_FALSE(DomainCosines::ends(99));
}

TEST_CASE("a conflict is one domain that rises while another falls") {
  History history;
  history["update"].resize(kConflictUpdates);
  history[domain_column("images")] = column(0.7, 0.6, 0.01, 1);
  history[domain_column("texts")] = column(0.5, 0.56, 0.01, 2);
  history[domain_column("tables")] = column(0.4, 0.4, 0.01, 3);
  const auto conflict = domain_conflict(history);
  REQUIRE(conflict);
  CHECK(conflict->rising.domain == "texts");
  CHECK(conflict->falling.domain == "images");
  CHECK(conflict->rising.first == Approx(0.503).margin(0.005));
  CHECK(conflict->rising.last == Approx(0.557).margin(0.005));
  // Only the newest rows count.
  for (auto& [name, rows] : history) rows.insert(rows.begin(), 500, 9.0);
  CHECK(domain_conflict(history)->rising.domain == "texts");
}

TEST_CASE("what all domains do alike, what may be chance, and what is not known is no conflict") {
  const auto both = [](std::vector<double> images, std::vector<double> texts) {
    return domain_conflict(
               {{domain_column("images"), std::move(images)}, {domain_column("texts"), std::move(texts)}})
        .has_value();
  };
  CHECK(both(column(0.7, 0.6, 0.0, 1), column(0.5, 0.6, 0.0, 2)));
  CHECK_FALSE(both(column(0.7, 0.6, 0.01, 1), column(0.5, 0.4, 0.01, 2)));
  CHECK_FALSE(both(column(0.6, 0.7, 0.01, 1), column(0.4, 0.5, 0.01, 2)));
  CHECK_FALSE(both(column(0.7, 0.6, 0.0, 1), column(0.5, 0.502, 0.0, 2)));  // less than 1 %
  CHECK_FALSE(both(column(0.7, 0.6, 0.0, 1), column(0.5, 0.5, 0.0, 2)));
  auto late = column(0.5, 0.6, 0.0, 2);
  late[0] = std::numeric_limits<double>::quiet_NaN();  // not seen yet
  CHECK_FALSE(both(column(0.7, 0.6, 0.0, 1), late));
  CHECK_FALSE(both(column(0.7, 0.6, 0.0, 1), {0.5, 0.6}));
  CHECK_FALSE(domain_conflict({}).has_value());
  int false_alarms = 0;
  for (std::uint32_t seed = 0; seed < 200; ++seed)
    false_alarms += both(column(0.6, 0.6, 0.2, 2 * seed), column(0.5, 0.5, 0.2, 2 * seed + 1)) ? 1 : 0;
  CHECK(false_alarms < 4);
}

namespace {

/// A run of one worker whose gradients are images and texts in turn.
struct Run {
  static CoordinatorOptions options(bool deterministic) {
    auto o = tests::coordinator_options();
    o.deterministic = deterministic;
    o.batch = o.streams = 2;
    o.adam.learning_rate = 1e-4;
    o.updates = 2500;
    return o;
  }

  static store::Checkpoint start() {
    store::Checkpoint start;
    start.rule.rule = "neuron_local";
    start.rule.layout = rule::Layout({{"toy", {2}, "one", rule::Initializer::constant(1.0), false, 0}});
    start.rule.theta = {1.0, 1.0};
    return start;
  }

  explicit Run(bool deterministic = true, const store::Checkpoint& from = start())
      : coordinator(options(deterministic), from, {1}, recorder, 0.0) {
    proto::WorkerMessage message;
    message.mutable_hello()->set_protocol(store::kProtocol);
    coordinator.handle(1, net::encode({message.SerializeAsString(), {}}), 0.0);
  }

  void update() {
    const double now = static_cast<double>(coordinator.update()) + 1.0;
    for (const std::uint32_t stream : {0u, 1u}) {
      proto::WorkerMessage message;
      auto& g = *message.mutable_gradient();
      g.set_stream(stream);
      g.set_theta_version(coordinator.update());
      g.set_norm(1.0);
      const double done = now / 2500.0;
      g.set_meta_objective(stream == 0 ? 1.0 - 0.3 * done : 0.5 + 0.2 * done);
      g.set_dataset(stream == 0 ? "glyphs" : "reviews");
      g.set_domain(stream == 0 ? proto::Gradient::images : proto::Gradient::texts);
      const Numbers floats = stream == 0 ? Numbers{1.0f, 0.0f} : Numbers{-0.6f, 0.8f};
      coordinator.handle(1, net::encode({message.SerializeAsString(), floats}), now);
    }
  }

  tests::Recorder recorder;
  Coordinator coordinator;
};

}  // namespace

TEST_CASE(
    "updates say the meta-objective of each domain, every hundredth the cosines, and a conflict is warned "
    "of") {
  for (const bool deterministic : {true, false}) {
    Run run(deterministic);
    for (int i = 0; i < 2000; ++i) run.update();
    REQUIRE(run.recorder.updates.size() == 2000);
    for (const auto& record : run.recorder.updates) {
      CHECK(record.batch.meta_objective_of_domain.at("texts") ==
            record.batch.meta_objective_of.at("reviews"));
      CHECK(record.meta_objective_smooth_of_domain.size() == 2);
      CHECK(record.domain_cosines.empty() == (record.update % 100 != 0));
    }
    const auto& cosines = run.recorder.updates[99].domain_cosines;
    CHECK(cosines.size() == 3);
    CHECK(cosines.at("images") == Approx(1.0));
    CHECK(cosines.at("texts") == Approx(1.0));
    CHECK(cosines.at("images-texts") == Approx(-0.6));
    REQUIRE(run.recorder.warnings.size() == 2);
    const std::string& warning = run.recorder.warnings[1];
    CHECK(warning.find("texts get worse while images get better: over the 1000 updates to 2000") == 0);
    CHECK(warning.find("raise tasks.share.texts") != std::string::npos);
  }
}

TEST_CASE("the running means of domains go on over a resume, also from a checkpoint that has none") {
  Run whole;
  for (int i = 0; i < 130; ++i) whole.update();
  Run first;
  for (int i = 0; i < 70; ++i) first.update();
  auto checkpoint = first.coordinator.snapshot();
  Run second(true, checkpoint);
  for (int i = 0; i < 60; ++i) second.update();
  for (const std::string column : {kDomainColumn, "meta_objective_smooth"})
    for (const char* suffix : {"", ".images", ".texts", ".glyphs", ".reviews"}) {
      const auto expected = whole.coordinator.snapshot().history;
      const auto found = expected.find(column + suffix);
      if (found != expected.end())
        CHECK(second.coordinator.snapshot().history.at(column + suffix) == found->second);
    }
  CHECK(second.coordinator.snapshot().rule.theta == whole.coordinator.snapshot().rule.theta);
  for (const char* domain : {"images", "texts"}) {
    checkpoint.history.erase(domain_column(domain));
    checkpoint.counters.erase(std::string("smoothed_domain.") + domain);
  }
  checkpoint.history.erase(kDomainColumn);
  Run old(true, checkpoint);
  for (int i = 0; i < 60; ++i) old.update();
  const auto history = old.coordinator.snapshot().history;
  for (const auto& [name, rows] : history) {
    INFO(name);
    CHECK(rows.size() == 130);
  }
  CHECK(std::isnan(history.at(domain_column("texts"))[69]));
  CHECK(std::isfinite(history.at(domain_column("texts"))[70]));
}
