// Paths of a configuration: their base folder, the paths that a run stores, and those that a resume may
// change.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/base/error.h"
#include "common/config/paths.h"
#include "common/config/schema.h"
#include "common/config/settings.h"
#include "common/data/path_variables.h"
#include "common/data/sources.h"
#include "tests/catch.h"
#include "tests/refusal.h"
#include "tests/temporary_folder.h"

using namespace outerloop;
using tests::contains;
using tests::refusal;
namespace fs = std::filesystem;

namespace {

const std::string kText =
    "updates: 5 tasks { dataset { name: \"folder\" path: \"pics\" } cache_directory: \"c\" }";

/// The working directory of a test.
class Inside {
 public:
  explicit Inside(const fs::path& path) : before_(fs::current_path()) { fs::current_path(path); }
  ~Inside() { fs::current_path(before_); }

 private:
  fs::path before_;
};

std::string path_of(const config::Settings& settings) { return settings.training.at(0).request.path; }

}  // namespace

TEST_CASE(
    "a relative path in a file is relative to its folder, one of --set or --data to the working directory") {
  const tests::TemporaryFolder folder;
  fs::create_directories(folder / "project/here");
  std::ofstream(folder / "project/my.textproto") << kText;
  const std::string project = fs::canonical(folder / "project").string(), here = project + "/here";
  const Inside inside(here);
  const auto plain = config::read_settings("../my.textproto", {});
  CHECK(fs::weakly_canonical(path_of(plain)) == project + "/pics");
  CHECK(fs::weakly_canonical(plain.cache_directory()) == project + "/c");
  CHECK(plain.config.tasks().dataset(0).path() == "pics");
  CHECK(path_of(config::read_settings("../my.textproto", {"tasks.dataset.path=other"})) == here + "/other");
  CHECK(path_of(config::read_settings("../my.textproto", {}, {"folder=other"})) == here + "/other");
  CHECK(config::read_settings("../my.textproto", {"tasks.cache_directory=other"}).cache_directory() ==
        here + "/other");
  CHECK(path_of(config::read_settings("../my.textproto", {"tasks.dataset.path=/other"})) == "/other");
}

TEST_CASE("what a path led to is kept by the run, not by its rule, and read from anywhere") {
  const tests::TemporaryFolder folder;
  std::ofstream(folder / "my.textproto") << kText;
  const auto begun = config::read_settings(folder / "my.textproto", {});
  const std::string where = folder / "pics";
  CHECK(contains(begun.text(), "resolved_path: \"" + where + "\""));
  CHECK_FALSE(contains(begun.text_as_written(), "resolved"));
  CHECK(contains(begun.text_as_written(), "path: \"pics\""));
  const Inside inside("/");
  const auto resumed = config::settings_from_text(begun.text(), "run", {});
  CHECK(path_of(resumed) == where);
  CHECK(resumed.cache_directory() == folder / "c");
  CHECK(resumed.text() == begun.text());

  // A rule in its run's folder finds the data where the run found it.
  fs::create_directories(folder / "run/checkpoints");
  std::ofstream(folder / "run/config.textproto") << begun.text();
  for (const char* file : {"run/rule.h5", "run/checkpoints/000000001.h5"})
    CHECK(path_of(config::settings_of_rule(begun.text_as_written(), folder / file)) == where);
  CHECK(path_of(config::settings_of_rule(begun.text_as_written(), folder / "rule.h5")) == "pics");
  std::ofstream(folder / "run/config.textproto") << "nonsense";
  CHECK(path_of(config::settings_of_rule(begun.text_as_written(), folder / "run/rule.h5")) == "pics");
}

TEST_CASE("environment variables are expanded at every start, and nothing of them is kept") {
  const tests::TemporaryFolder folder;
  std::ofstream(folder / "my.textproto")
      << "updates: 5 tasks { dataset { name: \"folder\" path: \"$OUTERLOOP_TEST_PLACE/pics\" } }";
  setenv("OUTERLOOP_TEST_PLACE", "/first", 1);
  const auto begun = config::read_settings(folder / "my.textproto", {});
  CHECK_FALSE(contains(begun.text(), "resolved"));
  CHECK_FALSE(contains(begun.text(), "/first"));
  CHECK(data::source_path(begun.training.at(0).request) == "/first/pics");
  setenv("OUTERLOOP_TEST_PLACE", "/second", 1);
  const auto resumed = config::settings_from_text(begun.text(), "run", {});
  CHECK(data::source_path(resumed.training.at(0).request) == "/second/pics");
  unsetenv("OUTERLOOP_TEST_PLACE");
  const std::string line = refusal([&] { data::source_path(resumed.training.at(0).request); });
  CHECK(contains(line, "the environment variable OUTERLOOP_TEST_PLACE is not set"));
}

TEST_CASE("variables in a path") {
  setenv("OUTERLOOP_TEST_A", "a", 1);
  setenv("OUTERLOOP_TEST_B", "b c", 1);
  const std::string home = std::getenv("HOME") != nullptr ? std::getenv("HOME") : "";
  using data::expand_variables;
  CHECK(expand_variables("/x/$OUTERLOOP_TEST_A/y") == "/x/a/y");
  CHECK(expand_variables("${OUTERLOOP_TEST_A}${OUTERLOOP_TEST_B}") == "ab c");
  CHECK(expand_variables("$OUTERLOOP_TEST_A.h5:/data") == "a.h5:/data");
  for (const char* plain :
       {"", "$", "a$", "$/x", "a$1", "${", "${}", "${OUTERLOOP_TEST_A", "x~", "~user/x"}) {
    CHECK(expand_variables(plain) == plain);
    CHECK_FALSE(data::has_variables(plain));
  }
  if (!home.empty()) CHECK(expand_variables("~/x") == home + "/x");
  CHECK_THROWS_AS(expand_variables("$OUTERLOOP_TEST_NONE"), InputError);
  // A path that exists literally takes precedence.
  const tests::TemporaryFolder folder;
  fs::create_directory(folder / "$OUTERLOOP_TEST_NONE");
  CHECK(expand_variables(folder / "$OUTERLOOP_TEST_NONE") == folder / "$OUTERLOOP_TEST_NONE");
}

TEST_CASE("--data names the dataset that it means, --set takes the only one") {
  const std::string two =
      R"(updates: 5 tasks { dataset { name: "folder" path: "a" } dataset { name: "folder" path: "b" }
                              dataset { name: "mnist" path: "m" } }
                             evaluation { dataset { name: "mnist" path: "m" classes: held_out } })";
  const auto with = [&](const std::string& data) {
    return config::settings_from_text(two, "test", {}, {data});
  };
  CHECK(with("mnist=/n").training.at(2).request.path == "/n");
  CHECK(with("mnist=/n").evaluation.at(0).request.path == "/n");
  CHECK(with("folder:b=/n").training.at(1).request.path == "/n");
  CHECK(with("folder:b=/n").training.at(0).request.path == "a");
  CHECK(contains(refusal([&] { with("folder=/n"); }), "say which, e.g. --data folder:b=/n"));
  CHECK(contains(refusal([&] { with("crops=/n"); }), "names no such dataset"));
  CHECK(contains(refusal([&] { with("nonsense=/n"); }), "is not known"));
  for (const char* bad : {"", "folder", "folder=", "=x"})
    CHECK(contains(refusal([&] { with(bad); }), "expected NAME=PATH"));
  const auto set = [&](const std::string& assignment) {
    return config::settings_from_text(two, "test", {assignment});
  };
  CHECK(set("evaluation.dataset.path=/n").evaluation.at(0).request.path == "/n");
  CHECK(contains(refusal([&] { set("tasks.dataset.path=/n"); }), "is a list of 3;"));
  CHECK(contains(refusal([&] { set("tasks.resolved_cache_directory=/n"); }), "unknown key"));
}

TEST_CASE("a configuration edited by hand between two starts is held to what --set may change") {
  const auto begun = config::settings_from_text(kText, "test", {});
  const auto edited = [&](const std::vector<std::string>& changes) {
    return config::check_edited(config::settings_from_text(kText, "test", changes), begun.text_as_written(),
                                "run/config.textproto");
  };
  CHECK(edited({}).empty());
  const auto said = edited({"updates=9", "deadline_seconds=5", "max_failures=1", "log.every_updates=2",
                            "engine.threads=2", "seconds=3", "tasks.dataset.path=/n"});
  REQUIRE(said.size() == 7);
  CHECK(said[0] == "run/config.textproto: updates is 9; the run began with 5");
  for (const char* change :
       {"optimizer.learning_rate=0.1", "mode=deterministic", "seed=3", "tasks.max_width=99", "batch=3",
        "tasks.dataset.weight=2", "tasks.dataset.name=mnist", "checkpoint.keep=9"}) {
    const std::string assignment = change, key = assignment.substr(0, assignment.find('='));
    const std::string line = refusal([&] {
      edited(key == "mode" ? std::vector<std::string>{assignment, "streams=8"}
                           : std::vector<std::string>{assignment});
    });
    INFO(line);
    CHECK(contains(line, "run/config.textproto: " + key + " is "));
    CHECK(contains(line, "may not change when a run is resumed"));
  }
  const auto more = config::settings_from_text(
      "updates: 5 tasks { dataset { name: \"glyphs\" } dataset { name: \"crops\" } cache_directory: \"c\" }",
      "test", {});
  CHECK(contains(refusal([&] { config::check_edited(more, begun.text_as_written(), "run"); }),
                 "tasks.dataset is a list of 2, but the run used a list of 1 so far"));
  // In deterministic mode the device may not change either.
  const std::string exact = "updates: 5 mode: deterministic";
  const auto before = config::settings_from_text(exact, "test", {});
  CHECK(contains(refusal([&] {
                   config::check_edited(config::settings_from_text(exact, "test", {"device=cuda"}),
                                        before.text(), "run");
                 }),
                 "run: device is \"cuda\""));
}
