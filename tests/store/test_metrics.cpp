// metrics.jsonl: segments, and truncation at a resume.
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
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
namespace fs = std::filesystem;

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

TEST_CASE("a damaged line at the end is set aside, and all others stay") {
  const Folder folder;
  const std::string path = folder / "metrics.jsonl";
  for (const std::string bad : {"nonsense", "[1]", "", "{\"update\":", "{\"segment\":1}"}) {
    write_bytes(path, "{\"update\":1,\"segment\":0}\n" + bad + "\n{\"update\":2,\"segment\":0}\n");
    const MetricsLog log(path, 5);
    CHECK(contains(log.warning(), path + ": 1 line is damaged; moved to " + path + ".damaged"));
    CHECK(log.segment() == 1);
    CHECK(read_bytes(path) == "{\"update\":1,\"segment\":0}\n{\"update\":2,\"segment\":0}\n");
    CHECK(read_bytes(path + ".damaged") == bad + "\n");
    CHECK(MetricsLog(path, 5).warning().empty());
    fs::remove(path + ".damaged");
  }
}

TEST_CASE("any flipped bit leaves a log that a resume takes, with every whole line that it had") {
  const Folder folder;
  const std::string path = folder / "metrics.jsonl";
  std::string text;
  for (int update = 1; update <= 6; ++update)
    text += "{\"meta_objective\":0.5,\"segment\":0,\"update\":" + std::to_string(update) + "}\n";
  for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
    std::string flipped = text;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    write_bytes(path, flipped);
    std::error_code ignored;
    fs::remove(path + ".damaged", ignored);
    MetricsLog(path, 3).write({{"update", 4}});
    INFO("bit " << bit);
    const auto lines = [&] {
      std::vector<std::int64_t> updates;
      std::istringstream stream(read_bytes(path));
      for (std::string line; std::getline(stream, line);) {
        const auto parsed = json::parse(line, nullptr, false);
        updates.push_back(parsed.is_object() ? parsed.value("update", std::int64_t{-1}) : -1);
      }
      return updates;
    }();
    REQUIRE(!lines.empty());
    CHECK(lines.back() == 4);
    CHECK(lines.size() >=
          2);  // of 1 to 3 the damaged one, its neighbour where the line end was hit, or none is missing
    CHECK(std::count_if(lines.begin() + 1, lines.end(), [](auto update) { return update > 4; }) == 0);
  }
}

TEST_CASE("lines of events that came late stay, wherever the log is cut") {
  const Folder folder;
  const std::string path = folder / "metrics.jsonl";
  {
    MetricsLog log(path, 0);
    for (int update = 1; update <= 3; ++update) log.write({{"update", update}});
    log.write({{"update", 4}});
    log.write({{"event", "evaluation"}, {"update", 2}});
    log.write({{"event", "checkpoint"}, {"update", 4}});
    log.write({{"update", 5}});
  }
  const MetricsLog log(path, 3);
  const auto lines = lines_of(path);
  REQUIRE(lines.size() == 4);
  for (int i = 0; i < 3; ++i) CHECK(lines[static_cast<std::size_t>(i)].at("update") == i + 1);
  CHECK(lines[3].at("event") == "evaluation");
  CHECK(log.warning().empty());
}

TEST_CASE("a log of any length is read from its end alone") {
  const Folder folder;
  const std::string path = folder / "metrics.jsonl";
  std::string text;
  const std::string fill(500, 'x');
  for (int update = 1; update <= 40000; ++update)
    text += "{\"fill\":\"" + fill + "\",\"segment\":3,\"update\":" + std::to_string(update) + "}\n";
  write_bytes(path, text);
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  CHECK(MetricsLog(path, 39990).segment() == 4);
  getrusage(RUSAGE_SELF, &after);
  const auto seconds = [](const rusage& usage) {
    return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
  };
  CHECK(seconds(after) - seconds(before) < 0.1);
  CHECK(fs::file_size(path) == text.rfind("{\"fill", text.find("\"update\":39991}")));
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

TEST_CASE("a pipe in place of the log is refused, not waited for") {
  const Folder folder;
  REQUIRE(mkfifo((folder / "metrics.jsonl").c_str(), 0600) == 0);
  CHECK_THROWS_AS(MetricsLog(folder / "metrics.jsonl", 0), InputError);
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
