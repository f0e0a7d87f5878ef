// Whether all hosts have the same datasets and program, by the reports of their ranks.
#include "cli/agreement.h"
#include "cli/startup.h"
#include "coordinator/admission.h"
#include "tests/catch.h"

using namespace outerloop::cli;

namespace {

RankReport report(int rank, const std::string& host, const std::string& sha256, std::int64_t examples = 60) {
  return {rank, host, "0.1.0 (abc)", {{"0.glyphs", {sha256, examples, 3}}}};
}

}  // namespace

TEST_CASE("hosts that have the same are not spoken of") {
  const auto all = disagreements({report(1, "a", "11"), report(2, "b", "11")});
  CHECK(all.datasets.empty());
  CHECK(all.program.empty());
  CHECK(all.unknown.empty());
  CHECK(disagreements({}).datasets.empty());
}

TEST_CASE("a dataset that differs is one line with ranks, hosts, examples and classes") {
  const auto all = disagreements({report(1, "a", "1111111111111111"), report(2, "a", "1111111111111111"),
                                  report(3, "b", "2222222222222222", 59)});
  REQUIRE(all.datasets.size() == 1);
  CHECK(
      all.datasets[0] ==
      "dataset glyphs differs between hosts: ranks 1, 2 on a: 60 examples of 3 classes (SHA-256 "
      "111111111111...); rank 3 on b: 59 examples of 3 classes (SHA-256 222222222222...); give all hosts the "
      "same data");
}

TEST_CASE("hundreds of ranks fit into a line") {
  std::vector<RankReport> reports;
  for (int rank = 1; rank <= 512; ++rank)
    reports.push_back(report(rank, "node" + std::to_string(rank / 8), rank % 2 == 0 ? "11" : "22"));
  const auto all = disagreements(reports);
  REQUIRE(all.datasets.size() == 1);
  CHECK(all.datasets[0].size() < 500);
  CHECK(all.datasets[0].find("and 250 more on node0, node1") != std::string::npos);
}

TEST_CASE("programs that differ are named, and an unknown revision is said apart") {
  auto reports = std::vector{report(1, "a", "11"), report(2, "b", "11"), report(3, "c", "11")};
  reports[1].revision = "0.1.0 (def)";
  CHECK(
      disagreements(reports).program.front() ==
      "the program differs between hosts: ranks 1, 3 on a, c: 0.1.0 (abc); rank 2 on b: 0.1.0 (def); install "
      "the same one on all hosts");
  reports[1].revision = "0.1.0 (unknown)";
  CHECK(disagreements(reports).program.empty());
  CHECK(disagreements(reports).unknown.size() == 1);
}

TEST_CASE("a checkpoint keeps the hash that most ranks have") {
  CHECK(majority({report(1, "a", "11"), report(2, "b", "22"), report(3, "b", "22")}).at("0.glyphs") == "22");
  CHECK(majority({report(1, "a", "11"), report(2, "b", "22")}).at("0.glyphs") == "11");
  CHECK(majority({}).empty());
}

TEST_CASE("a dataset's name in the keys of reports and checkpoints") {
  CHECK(outerloop::coordinator::dataset_name("0.glyphs") == "glyphs");
  CHECK(outerloop::coordinator::dataset_name("12.my.data") == "my.data");
  CHECK(outerloop::coordinator::dataset_name("evaluation.3.my.data") == "my.data");
}

TEST_CASE("a worker's place on its host does not depend on how ranks are dealt out to hosts") {
  using Places = std::vector<std::pair<int, int>>;
  const auto places = [](const std::vector<std::string>& hosts) {
    Places result;
    for (std::size_t rank = 0; rank < hosts.size(); ++rank) {
      const auto same = [&](const std::string& host) { return host == hosts[rank]; };
      const auto here = hosts.begin() + static_cast<std::ptrdiff_t>(rank);
      const auto place = outerloop::cli::worker_place(
          static_cast<int>(rank), static_cast<int>(std::count_if(hosts.begin(), here, same)),
          static_cast<int>(std::count_if(hosts.begin(), hosts.end(), same)), hosts);
      CHECK(place.computes == (rank > 0 || hosts.size() == 1));
      if (place.computes) result.emplace_back(place.index, place.count);
    }
    return result;
  };
  CHECK(places({"a"}) == Places{{0, 1}});
  CHECK(places({"a", "a", "a", "b", "b"}) == Places{{0, 2}, {1, 2}, {0, 2}, {1, 2}});
  CHECK(places({"a", "b", "a", "b", "a"}) == Places{{0, 2}, {0, 2}, {1, 2}, {1, 2}});
  CHECK(places({"a", "b", "b"}) == Places{{0, 2}, {1, 2}});
}
