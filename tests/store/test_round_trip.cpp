// Round trip: data read equals data written, bit for bit.
#include <cmath>
#include <cstring>
#include <limits>

#include "common/rule/phi.h"
#include "tests/catch.h"
#include "tests/store/support.h"

using namespace outerloop;
using namespace outerloop::store;
using namespace outerloop::tests;

namespace {

/// Equal in every bit, so that NaN equals itself and -0 differs from 0.
bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0);
}

void check_same(const rule::Layout& a, const rule::Layout& b) {
  REQUIRE(a.tensors().size() == b.tensors().size());
  CHECK(a.signature() == b.signature());
  for (std::size_t i = 0; i < a.tensors().size(); ++i) {
    const auto& left = a.tensors()[i];
    const auto& right = b.tensors()[i];
    CHECK(left.axes == right.axes);
    CHECK(left.initializer.kind == right.initializer.kind);
    CHECK(left.initializer.value == right.initializer.value);
    CHECK(left.zero_gradient == right.zero_gradient);
    CHECK(left.offset == right.offset);
  }
}

void check_same(const RuleFile& a, const RuleFile& b) {
  CHECK(a.rule == b.rule);
  check_same(a.layout, b.layout);
  CHECK(same_bits(a.theta, b.theta));
  CHECK(same_bits(a.theta_average, b.theta_average));
  CHECK(a.update == b.update);
  CHECK(a.git_revision == b.git_revision);
  CHECK(a.config == b.config);
  CHECK(a.created == b.created);
}

void check_same(const LaneState& a, const LaneState& b) {
  CHECK(a.task == b.task);
  CHECK(a.step == b.step);
  CHECK(a.truncation == b.truncation);
  CHECK(a.units == b.units);
  CHECK(a.dataset == b.dataset);
  CHECK(a.permutation_seed == b.permutation_seed);
  CHECK(same_bits(a.phi, b.phi));
  REQUIRE(a.pairs.size() == b.pairs.size());
  for (std::size_t p = 0; p < a.pairs.size(); ++p) {
    CHECK(same_bits(a.pairs[p].noise, b.pairs[p].noise));
    CHECK(same_bits(a.pairs[p].phi_plus, b.pairs[p].phi_plus));
    CHECK(same_bits(a.pairs[p].phi_minus, b.pairs[p].phi_minus));
  }
}

void check_same(const StreamState& a, const StreamState& b) {
  CHECK(a.stream == b.stream);
  CHECK(a.task == b.task);
  CHECK(a.step == b.step);
  CHECK(a.truncation == b.truncation);
  CHECK(a.begun_at == b.begun_at);
  REQUIRE(a.lanes.size() == b.lanes.size());
  for (std::size_t l = 0; l < a.lanes.size(); ++l) check_same(a.lanes[l], b.lanes[l]);
}

void check_same(const Checkpoint& a, const Checkpoint& b) {
  check_same(a.rule, b.rule);
  CHECK(same_bits(a.adam_m, b.adam_m));
  CHECK(same_bits(a.adam_v, b.adam_v));
  CHECK(a.adam_step == b.adam_step);
  REQUIRE(a.history.size() == b.history.size());
  for (const auto& [name, column] : a.history) {
    REQUIRE(b.history.count(name) == 1);
    CHECK(same_bits(column, b.history.at(name)));
  }
  REQUIRE(a.streams.size() == b.streams.size());
  for (std::size_t i = 0; i < a.streams.size(); ++i) check_same(a.streams[i], b.streams[i]);
  CHECK(a.counters == b.counters);
  CHECK(a.seconds == b.seconds);
  CHECK(a.dataset_sha256 == b.dataset_sha256);
  REQUIRE(a.safe_point.has_value() == b.safe_point.has_value());
  if (!a.safe_point) return;
  CHECK(a.safe_point->update == b.safe_point->update);
  CHECK(same_bits(a.safe_point->theta, b.safe_point->theta));
  CHECK(same_bits(a.safe_point->theta_average, b.safe_point->theta_average));
  CHECK(same_bits(a.safe_point->adam_m, b.safe_point->adam_m));
  CHECK(same_bits(a.safe_point->adam_v, b.safe_point->adam_v));
}

}  // namespace

TEST_CASE("a rule comes back bit for bit") {
  const Folder folder;
  RuleFile file = sample_rule();
  SECTION("with an average") {}
  SECTION("without an average") { file.theta_average.clear(); }
  SECTION("with numbers that are no numbers") {
    file.theta[0] = std::numeric_limits<double>::quiet_NaN();
    file.theta[1] = -std::numeric_limits<double>::infinity();
    file.theta[2] = -0.0;
    file.theta[3] = std::numeric_limits<float>::denorm_min();
  }
  SECTION("with empty texts") { file.config = file.created = file.git_revision = ""; }
  SECTION("with texts beyond ASCII, and a long configuration") {
    file.git_revision = "θ-größe";
    for (int i = 0; i < 20000; ++i) file.config += "key: 1\n";
  }
  SECTION("with odd names") {
    file.layout = rule::Layout({{"a/b", {3}, "", rule::Initializer::constant(1), false, 0},
                                {".", {2}, "x", rule::Initializer::constant(1), false, 0},
                                {"..", {1}, "x", rule::Initializer::constant(1), false, 0},
                                {"100%2F θ", {4}, "x", rule::Initializer::constant(1), false, 0},
                                {" ", {}, "", rule::Initializer::constant(1), false, 0},
                                {"a", {1}, "x", rule::Initializer::constant(1), false, 0}});
  }
  const auto sha256 = write_rule(folder / "rule.h5", file);
  CHECK(sha256 == theta_sha256(file.layout, file.theta));
  check_same(read_rule(folder / "rule.h5"), file);
  CHECK(folder.names() == std::vector<std::string>{"rule.h5"});
}

TEST_CASE("a checkpoint comes back bit for bit") {
  const Folder folder;
  Checkpoint checkpoint = sample_checkpoint();
  SECTION("with everything") {}
  SECTION("before the first update") {
    checkpoint.adam_m.clear();
    checkpoint.adam_v.clear();
    checkpoint.adam_step = 0;
    checkpoint.history.clear();
    checkpoint.streams.clear();
    checkpoint.counters.clear();
    checkpoint.safe_point.reset();
    checkpoint.dataset_sha256.clear();
    checkpoint.rule.theta_average.clear();
  }
  SECTION("with history columns of no entries") {
    for (auto& entry : checkpoint.history) entry.second.clear();
  }
  SECTION("with the largest numbers") {
    auto& stream = checkpoint.streams[1];
    auto& lane = stream.lanes.front();
    stream.stream = stream.task = stream.truncation = lane.task = lane.truncation = 0xffffffffu;
    lane.permutation_seed = 0xffffffffffffffffull;
    checkpoint.counters["gradients"] = std::numeric_limits<std::int64_t>::max();
  }
  SECTION("of the second rule") {
    checkpoint.rule.rule = "supervised_sgd";
    rule::RuleOptions options;
    options.name = "supervised_sgd";
    auto& lane = checkpoint.streams[1].lanes.front();
    lane.phi = rule::initial_phi(rule::phi_layout(options, {lane.units, {}}), 1, 2, 3);
    lane.pairs.clear();
  }
  SECTION("with several lanes to a stream") {
    auto& stream = checkpoint.streams[1];
    stream.lanes.resize(3, stream.lanes.front());
    stream.lanes[1].pairs.clear();
    stream.lanes[1].task = stream.task + 2;  // one that has begun within the round
    stream.lanes[1].step = 5;
    stream.lanes[1].truncation = 1;
    stream.lanes[1].dataset = "crops";
    stream.lanes[2].phi[0] = 1.0 / 11.0;
    stream.lanes[2].permutation_seed = 99;
  }
  const auto sha256 = write_checkpoint(folder / "c.h5", checkpoint);
  check_same(read_checkpoint(folder / "c.h5"), checkpoint);
  check_same(read_rule(folder / "c.h5"), checkpoint.rule);

  const auto contents = read_contents(folder / "c.h5");
  CHECK(contents.kind == Kind::checkpoint);
  CHECK(contents.format_version == kFormatVersion);
  CHECK(contents.theta_sha256 == sha256);
  CHECK(contents.checksum.size() == 64);
  check_same(contents.checkpoint, checkpoint);
}

TEST_CASE("streams come back in the order of their numbers") {
  const Folder folder;
  Checkpoint checkpoint = sample_checkpoint();
  std::swap(checkpoint.streams[0], checkpoint.streams[1]);
  write_checkpoint(folder / "c.h5", checkpoint);
  const auto streams = read_checkpoint(folder / "c.h5").streams;
  REQUIRE(streams.size() == 2);
  CHECK(streams[0].stream == 2);
  CHECK(streams[1].stream == 10);
}

TEST_CASE("the same checkpoint makes the same bytes") {
  const Folder folder;
  write_checkpoint(folder / "a.h5", sample_checkpoint());
  write_checkpoint(folder / "b.h5", sample_checkpoint());
  CHECK(read_bytes(folder / "a.h5") == read_bytes(folder / "b.h5"));
}

TEST_CASE("theta_sha256 is the contract's") {
  // python3: import hashlib, struct
  //   B, ax, b = [7.5], [-1.0, 0.1, 2.0], [1.0, 2.0, 3.0, -0.0]          # byte order of the names: B, a.x, b
  //   hashlib.sha256(struct.pack("<8f", *(B + ax + b))).hexdigest()
  const auto constant = rule::Initializer::constant(0);
  const rule::Layout layout({{"b", {2, 2}, "", constant, false, 0},
                             {"a.x", {3}, "", constant, false, 0},
                             {"B", {1}, "", constant, false, 0}});
  const std::vector<double> theta = {1.0, 2.0, 3.0, -0.0, -1.0, 0.1, 2.0, 7.5};
  CHECK(theta_sha256(layout, theta) == "794d757a77190730bc8e1fa9779b6baaaa57860b5f27597c19359cb05d5b9d3d");
}

TEST_CASE("φ fits a checkpoint only with the size that its units have under the rule") {
  store::RuleFile rule;
  rule.rule = "neuron_local";
  CHECK(store::phi_fits(rule, {3, 2}, 3 * 2 + 2 + 3 * 2));
  CHECK_FALSE(store::phi_fits(rule, {3, 2}, 13));
  const std::int64_t huge = std::numeric_limits<std::int64_t>::max();
  for (const std::vector<std::int64_t>& units : std::vector<std::vector<std::int64_t>>{
           {}, {14}, {3, -2}, {huge, huge}, std::vector<std::int64_t>(1000000, 1)})
    CHECK_FALSE(store::phi_fits(rule, units, 14));
}

TEST_CASE("what does not fit together is not written") {
  const Folder folder;
  Checkpoint checkpoint = sample_checkpoint();
  SECTION("theta and its layout") { checkpoint.rule.theta.pop_back(); }
  SECTION("the average and its layout") { checkpoint.rule.theta_average.pop_back(); }
  SECTION("Adam's moments") { checkpoint.adam_v.push_back(1.0); }
  SECTION("phi and its units") { checkpoint.streams[1].lanes[0].phi.pop_back(); }
  SECTION("phi and no units") { checkpoint.streams[1].lanes[0].units.clear(); }
  SECTION("phi and units whose product overflows") {
    checkpoint.streams[1].lanes[0].units = {1 << 30, 1 << 30, 1 << 30, 1 << 30};
  }
  SECTION("history columns of different lengths") { checkpoint.history["seconds"].pop_back(); }
  SECTION("two streams of one number") { checkpoint.streams[0].stream = 10; }
  SECTION("two parameters of one name") {
    const auto constant = rule::Initializer::constant(0);
    checkpoint.rule.layout =
        rule::Layout({{"a", {6}, "", constant, false, 0}, {"a", {6}, "", constant, false, 0}});
  }
  SECTION("a text with a NUL inside") { checkpoint.rule.created = std::string("a\0b", 3); }
  CHECK_THROWS_AS(write_checkpoint(folder / "c.h5", checkpoint), Error);
  CHECK(folder.names().empty());
}
