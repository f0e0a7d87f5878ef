// Whether the states of streams fit a message and the coordinator's memory, said before a run begins.
#include "cli/stream_sizes.h"
#include "common/net/transport.h"
#include "common/rule/phi.h"
#include "tests/catch.h"
#include "tests/toy_engine.h"

using namespace outerloop;
using namespace outerloop::cli;

namespace {

constexpr std::int64_t kMegabyte = 1000000;
constexpr std::int64_t kPlenty = std::int64_t{1} << 60;

}  // namespace

TEST_CASE("a lane takes φ of the largest base model, and with evolution that has a state two more per pair") {
  tests::ToyEngine engine(5);
  const auto tasks = tests::toy_tasks(1);
  const auto phi = rule::phi_layout(engine.rule(), {{9, 6, 6, 4}, {}}).size();
  const std::int64_t plain = most_lane_bytes(engine, tasks, {});
  CHECK(plain >= 8 * phi);
  CHECK(plain < 8 * phi + 1000);
  const rule::EstimatorOptions evolution{rule::EstimatorKind::persistent_evolution, 0.1, 3, 0.0};
  CHECK(most_lane_bytes(engine, tasks, evolution) == plain + 3 * 8 * (5 + 2 * phi));
  CHECK(most_stream_bytes(plain, 16) - most_stream_bytes(plain, 6) == 10 * plain);
}

TEST_CASE("a stream that does not fit a message is refused with the sizes and what does fit") {
  const auto sizes = [](std::int64_t group) {
    return StreamSizes{group, 4, most_stream_bytes(15 * kMegabyte, group), kPlenty};
  };
  CHECK(objection_to(sizes(1)).empty());
  CHECK(objection_to(sizes(71)).empty());
  const std::string objection = objection_to(sizes(72));
  CHECK(objection.find(
            "tasks.group = 72: a stream takes up to 1080.1 MB in one message (15.0 MB for each of") == 0);
  CHECK(objection.find("a message holds 1073.7 MB; lower tasks.group to 71") != std::string::npos);
}

TEST_CASE(
    "streams that exceed the coordinator's memory are refused with the sizes, unless lanes are single") {
  const std::int64_t bytes = most_stream_bytes(15 * kMegabyte, 16);
  CHECK(objection_to({16, 512, bytes, 300000 * kMegabyte}).empty());
  const std::string objection = objection_to({16, 512, bytes, 64000 * kMegabyte});
  CHECK(objection.find(
            "tasks.group = 16: 512 streams of 16 tasks take up to 122913.6 MB (15.0 MB for each") == 0);
  CHECK(objection.find("its host has 64000.0 MB to spare; lower streams or tasks.group") !=
        std::string::npos);
  CHECK(objection_to({1, 10000, most_stream_bytes(15 * kMegabyte, 1), kMegabyte}).empty());
}

TEST_CASE("more streams than a checkpoint can hold in time are refused") {
  CHECK(objection_to({1, 10001, 1000, kPlenty}).find("streams = 10001: a checkpoint holds") == 0);
  CHECK(objection_to({16, 626, 1000, kPlenty}).find("streams = 626 of 16 tasks: a checkpoint holds") == 0);
  CHECK(objection_to({16, 625, 1000, kPlenty}).empty());
}
