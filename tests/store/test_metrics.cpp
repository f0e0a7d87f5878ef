// metrics.jsonl: segments, and what a resume cuts.
#include <sys/resource.h>

#include <csignal>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/store/metrics.h"
#include "tests/catch.h"
#include "tests/store/support.h"

using namespace outerloop;
using namespace outerloop::tests;
using nlohmann::json;
using store::MetricsLog;

namespace {

std::vector<json> lines_of(const std::string& path) {
  std::vector<json> lines;
  std::istringstream stream(read_bytes(path));
  for (std::string line; std::getline(stream, line);) lines.push_back(json::parse(line));
  return lines;
}

}  // namespace

TEST_CASE("lines carry their segment, and a resume cuts what lies beyond its checkpoint") {
  const Folder folder;
  const std::string path = folder / "metrics.jsonl";
  {
    MetricsLog log(path, 0);
    CHECK(log.segment() == 0);
    log.write({{"event", "checkpoint"}, {"update", 0}});
    for (int update = 1; update <= 5; ++update)
      log.write({{"update", update}, {"meta_objective", 1.0 / update}});
  }
  {
    MetricsLog log(path, 3);
    CHECK(log.segment() == 1);
    log.write({{"update", 4}, {"meta_objective", std::numeric_limits<double>::quiet_NaN()}});
  }
  const auto lines = lines_of(path);
  REQUIRE(lines.size() == 5);
  for (int i = 0; i < 5; ++i) CHECK(lines[static_cast<std::size_t>(i)].at("update") == i);
  CHECK(lines[3].at("segment") == 0);
  CHECK(lines[4].at("segment") == 1);
  CHECK(lines[4].at("meta_objective").is_null());
  CHECK(MetricsLog(path, 100).segment() == 2);
}

TEST_CASE("a last line that is cut goes, a whole one without its newline stays") {
  const Folder folder;
  const std::string path = folder / "metrics.jsonl";
  SECTION("cut") {
    write_bytes(path, "{\"update\":1,\"segment\":4}\n{\"update\":2,\"segm");
    MetricsLog log(path, 9);
    CHECK(log.segment() == 5);
    log.write({{"update", 2}});
    REQUIRE(lines_of(path).size() == 2);
    CHECK(lines_of(path)[1].at("segment") == 5);
  }
  SECTION("whole") {
    write_bytes(path, "{\"update\":1,\"segment\":4}\n{\"update\":2,\"segment\":4}");
    MetricsLog(path, 9).write({{"update", 3}});
    CHECK(lines_of(path).size() == 3);
  }
  SECTION("everything cut") {
    write_bytes(path, "{\"update\":7,\"segment\":4}\n");
    CHECK(MetricsLog(path, 0).segment() == 0);
    CHECK(read_bytes(path).empty());
  }
  CHECK(folder.names() == std::vector<std::string>{"metrics.jsonl"});
}

TEST_CASE("a whole line that is no object is named, and nothing is cut") {
  const Folder folder;
  const std::string path = folder / "metrics.jsonl";
  for (const std::string bad : {"nonsense", "[1]", "", "{\"update\":"}) {
    const std::string text = "{\"update\":1}\n" + bad + "\n{\"update\":3}\n";
    write_bytes(path, text);
    const auto line = refusal([&] { MetricsLog(path, 0); });
    INFO(line);
    CHECK(contains(line, path + ":2: "));
    CHECK(read_bytes(path) == text);
  }
}

TEST_CASE("a log that cannot be written is named") {
  const Folder folder;
  CHECK_THROWS_AS(MetricsLog(folder / "none/metrics.jsonl", 0), Error);
  MetricsLog full("/dev/full", 0);
  try {
    full.write({{"update", 1}});
    FAIL("the device was full");
  } catch (const Error& error) {
    CHECK(contains(error.what(), "/dev/full: cannot be written: No space left on device"));
  }
}

TEST_CASE("a line that the disk cuts short is taken back") {
  const Folder folder;
  const std::string path = folder / "metrics.jsonl";
  MetricsLog log(path, 0);
  log.write({{"update", 1}});
  const auto before = read_bytes(path);
  rlimit whole{};
  getrlimit(RLIMIT_FSIZE, &whole);
  rlimit small = whole;
  small.rlim_cur = before.size() + 5;
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  CHECK_THROWS_AS(log.write({{"update", 2}}), Error);
  setrlimit(RLIMIT_FSIZE, &whole);
  std::signal(SIGXFSZ, handler);
  CHECK(read_bytes(path) == before);
  log.write({{"update", 2}});
  CHECK(lines_of(path).size() == 2);
}
