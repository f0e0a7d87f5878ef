// Event files, decoded by hand; tests/python reads them with TensorBoard itself.
#include <limits>
#include <nlohmann/json.hpp>

#include "common/store/events.h"
#include "common/store/grey_png.h"
#include "outerloop/events.pb.h"
#include "tests/catch.h"
#include "tests/store/support.h"

using namespace outerloop;
using namespace outerloop::tests;
using nlohmann::json;

namespace {

std::uint64_t number_at(const std::string& bytes, std::size_t at, int size) {
  std::uint64_t value = 0;
  for (int i = size - 1; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes.at(at + i));
  return value;
}

/// Every record of the one event file in `folder`, its checksums verified.
std::vector<events::Event> events_in(const Folder& folder) {
  REQUIRE(folder.names().size() == 1);
  const std::string bytes = read_bytes(folder / folder.names().front());
  std::vector<events::Event> found;
  for (std::size_t at = 0; at < bytes.size();) {
    const auto size = static_cast<std::size_t>(number_at(bytes, at, 8));
    CHECK(number_at(bytes, at + 8, 4) == store::masked_crc32c(bytes.substr(at, 8)));
    CHECK(number_at(bytes, at + 12 + size, 4) == store::masked_crc32c(bytes.substr(at + 12, size)));
    events::Event event;
    REQUIRE(event.ParseFromString(bytes.substr(at + 12, size)));
    found.push_back(event);
    at += size + 16;
  }
  return found;
}

}  // namespace

TEST_CASE("the checksum is CRC-32C, masked") {
  // The check value of CRC-32C is 0xE3069283.
  const std::uint32_t sum = 0xE3069283u;
  CHECK(store::masked_crc32c("123456789") ==
        static_cast<std::uint32_t>(((sum >> 15) | (sum << 17)) + 0xa282ead8u));
}

TEST_CASE("a line of metrics becomes one curve per number that can be drawn") {
  const json line = {{"update", 3},
                     {"segment", 1},
                     {"meta_objective", 0.5},
                     {"gradient_cosine", nullptr},
                     {"seconds", std::numeric_limits<double>::infinity()},
                     {"event", "evaluation"},
                     {"best", true},
                     {"meta_objective_of", {{"glyphs", 0.25}, {"crops", 0.75}}},
                     {"meta_objective_of_domain", {{"images", 0.5}}},
                     {"gradient_cosine_of_domain", {{"images-texts", -0.1}}},
                     {"domains", json::array({{{"domain", "tables"}, {"role", "train"}, {"accuracy", 0.7}}})},
                     {"refused", {{"stale", 2}}},
                     {"gradients_of", {{"1", 4}}},
                     {"refused_from", {{"1", {{"stale", 2}}}}},
                     {"datasets", json::array({{{"dataset", "glyphs"},
                                                {"role", "validation"},
                                                {"accuracy", 0.9},
                                                {"meta_objective", nullptr},
                                                {"tasks", 4}}})}};
  const std::map<std::string, double> expected = {{"meta_objective", 0.5},
                                                  {"meta_objective/glyphs", 0.25},
                                                  {"meta_objective/crops", 0.75},
                                                  {"meta_objective_domain/images", 0.5},
                                                  {"gradient_cosine_domain/images-texts", -0.1},
                                                  {"evaluation_domain/train/tables/accuracy", 0.7},
                                                  {"refused/stale", 2},
                                                  {"evaluation/validation/glyphs/accuracy", 0.9}};
  CHECK(store::scalars_of(line) == expected);
}

TEST_CASE("a file begins with its version and a session's start, and holds what was added") {
  const Folder folder;
  const auto rule = sample_rule();
  {
    store::EventLog log(folder.path().string(), 7);
    log.text(7, "config", "seed: 1\n");
    log.scalars({{"update", 8}, {"meta_objective", 0.5}});
    log.scalars({{"update", 8}, {"event", "nothing to draw"}});
    log.tensors(8, "theta", rule.layout, rule.theta);
    log.counts(8, "staleness", {{0, 5}, {3, 2}});
    log.counts(8, "nothing", {});
    log.picture(8, "filters", 2, 3, {0, 1, 2, 3, 4, 5});
    log.restart(5);
  }
  const auto events = events_in(folder);
  REQUIRE(events.size() == 8);
  CHECK(events[0].file_version() == "brain.Event:2");
  CHECK(events[1].session_log().status() == events::SessionLog::start);
  CHECK(events[1].step() == 8);
  CHECK(events[2].summary().value(0).metadata().plugin().name() == "text");
  CHECK(contains(events[2].summary().value(0).tensor().text(0), "seed: 1"));
  CHECK(events[3].step() == 8);
  CHECK(events[3].summary().value(0).scalar() == 0.5f);
  REQUIRE(events[4].summary().value_size() == 3);
  CHECK(events[4].summary().value(0).tag() == "theta/top.in.w");
  CHECK(events[6].summary().value(0).image().width() == 3);
  CHECK(contains(events[6].summary().value(0).image().png(), "PNG"));
  CHECK(events[7].step() == 6);
}

TEST_CASE("a histogram counts every finite number once") {
  const Folder folder;
  auto rule = sample_rule();
  rule.theta[0] = std::numeric_limits<double>::quiet_NaN();
  {
    store::EventLog log(folder.path().string(), 0);
    log.tensors(1, "theta", rule.layout, rule.theta);
    log.counts(1, "staleness", {{0, 5}, {3, 2}});
  }
  const auto events = events_in(folder);
  REQUIRE(events.size() == 4);
  for (const int event : {2, 3})
    for (const auto& value : events.at(static_cast<std::size_t>(event)).summary().value()) {
      const auto& histogram = value.histogram();
      double all = 0.0;
      for (const double bucket : histogram.bucket()) all += bucket;
      CHECK(all == histogram.num());
      CHECK(histogram.bucket_size() == histogram.bucket_limit_size());
      CHECK(histogram.bucket_limit(histogram.bucket_limit_size() - 1) >= histogram.max());
    }
  CHECK(events[2].summary().value(0).histogram().num() == 5);  // of six, one is NaN
  CHECK(events[3].summary().value(0).histogram().sum() == 6);
}

TEST_CASE("a picture's size must fit its pixels") {
  CHECK_THROWS_AS(store::grey_png(2, 2, {1.0}), Error);
  CHECK_THROWS_AS(store::grey_png(0, 2, {}), Error);
  CHECK_NOTHROW(store::grey_png(1, 2, {1.0, 1.0}));
}
