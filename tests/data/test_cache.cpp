// The cache: used if it is intact and has the same key, recreated otherwise, by any number of concurrent
// processes.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>

#include "common/base/error.h"
#include "common/data/cache.h"
#include "common/data/cache_folder.h"
#include "common/data/crops.h"
#include "common/data/dataset.h"
#include "tests/catch.h"
#include "tests/data/files.h"

namespace outerloop::tests {
namespace {

namespace fs = std::filesystem;

data::WorkingSet small_set() {
  data::WorkingSet set;
  set.side = 3;
  set.class_names = {"Ω", "", "two words"};
  set.labels = {2, 0, 1, 1};
  set.ranges = {{0.0, 255.0}, {-1.5, 1e300}, {7.0, 7.0}};
  set.remarks = {"one file was passed over", "Ω: another"};
  for (int i = 0; i < 36; ++i) set.pixels.push_back(static_cast<std::uint8_t>(7 * i));
  return set;
}

/// Vectors with scores.
data::WorkingSet small_vectors() {
  data::WorkingSet set;
  set.inputs = 5;
  set.class_names = {"a", "b"};
  set.labels = {1, 0, 1};
  set.ranges.resize(2);
  set.scores = {-1.5f, 0.0f, 3e30f};
  for (int i = 0; i < 15; ++i) set.pixels.push_back(static_cast<std::uint8_t>(17 * i));
  return set;
}

void require_equal(const data::WorkingSet& a, const data::WorkingSet& b) {
  CHECK(a.side == b.side);
  CHECK(a.inputs == b.inputs);
  CHECK(a.scores == b.scores);
  CHECK(a.class_names == b.class_names);
  CHECK(a.labels == b.labels);
  CHECK(a.pixels == b.pixels);
  CHECK(a.remarks == b.remarks);
  REQUIRE(a.ranges.size() == b.ranges.size());
  for (std::size_t i = 0; i < a.ranges.size(); ++i) {
    CHECK(a.ranges[i].low == b.ranges[i].low);
    CHECK(a.ranges[i].high == b.ranges[i].high);
  }
}

base::Digest key_of(const std::string& text) {
  base::Sha256 hash;
  hash.update_text(text);
  return hash.finish();
}

Bytes contents(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(stream), {});
}

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), {}));
}

TEST_CASE("SHA-256 is that of the standard, and texts do not run together") {
  base::Sha256 hash;
  hash.update("abc", 3);
  CHECK(base::hex(hash.finish()) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(base::hex(base::stable_hash("abc")) == "ba7816bf8f01cfea");
  base::Sha256 one;
  one.update_text("ab");
  one.update_text("c");
  base::Sha256 other;
  other.update_text("a");
  other.update_text("bc");
  CHECK(one.finish() != other.finish());
}

TEST_CASE("a cache gives back what was written, and nothing where there is none") {
  const TemporaryFolder folder;
  const fs::path file = folder / "deep/er/set.cache";
  CHECK(!data::read_cache(file, key_of("a")).has_value());
  data::write_cache(file, key_of("a"), small_set());
  const auto set = data::read_cache(file, key_of("a"));
  REQUIRE(set.has_value());
  require_equal(*set, small_set());
  data::write_cache(file, key_of("a"), small_vectors());
  const auto vectors = data::read_cache(file, key_of("a"));
  REQUIRE(vectors.has_value());
  require_equal(*vectors, small_vectors());
  CHECK(files_in(file.parent_path()) == 1);  // no temporary file is left
  holds(refusal([&] { data::read_cache(file, key_of("b")); }), "has changed");
}

TEST_CASE("a cache with any bit flipped, cut anywhere or too long is refused") {
  const TemporaryFolder folder;
  const fs::path file = folder / "set.cache";
  for (const data::WorkingSet& set : {small_set(), small_vectors()}) {
    data::write_cache(file, key_of("a"), set);
    const Bytes whole = contents(file);
    for (std::size_t at = 0; at < whole.size(); ++at) {
      INFO("byte " << at);
      Bytes bytes = whole;
      bytes[at] ^= static_cast<std::uint8_t>(1u << (at % 8));
      write_file(file, bytes);
      refusal([&] { data::read_cache(file, key_of("a")); });
      write_file(file, first_bytes(whole, at));
      refusal([&] { data::read_cache(file, key_of("a")); });
    }
    Bytes longer = whole;
    longer.push_back(0);
    write_file(file, longer);
    holds(refusal([&] { data::read_cache(file, key_of("a")); }), "size");
  }
}

TEST_CASE("extents in a cache's header that overflow or exceed the file are refused") {
  const TemporaryFolder folder;
  const fs::path file = folder / "set.cache";
  data::write_cache(file, key_of("a"), small_set());
  const Bytes whole = contents(file);
  for (const std::size_t field : {12, 24, 32, 40}) {  // side, classes, bytes of names, examples
    for (const std::uint8_t value : {std::uint8_t{0}, std::uint8_t{0x7F}, std::uint8_t{0xFF}}) {
      Bytes bytes = whole;
      std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(field), field == 12 ? 4 : 8, value);
      write_file(file, bytes);
      refusal([&] { data::read_cache(file, key_of("a")); });
    }
  }
  for (const std::size_t field : {16, 48, 56}) {  // inputs and a side, too many scores, remarks
    Bytes bytes = whole;
    bytes[field + 7] = 0x7F;
    write_file(file, bytes);
    refusal([&] { data::read_cache(file, key_of("a")); });
  }
}

TEST_CASE("cached makes a set once, and anew when the file or the key changed") {
  const TemporaryFolder folder;
  int made = 0;
  std::vector<std::string> remarks;
  const auto make = [&] {
    ++made;
    return small_set();
  };
  const auto open = [&](const std::string& key) {
    require_equal(data::cached(folder.path().string(), "set.cache", key_of(key), make, remarks), small_set());
  };
  open("a");
  open("a");
  CHECK(made == 1);
  open("b");
  open("b");
  CHECK(made == 2);
  Bytes bytes = contents(folder / "set.cache");
  bytes[bytes.size() / 2] ^= 1;
  write_file(folder / "set.cache", bytes);
  open("b");
  open("b");
  CHECK(made == 3);
  REQUIRE(remarks.size() == 2);
  holds(remarks[0], "has changed: it is rebuilt");
  holds(remarks[1], "its checksum differs: it is rebuilt");
  data::cached("", "set.cache", key_of("b"), make, remarks);
  CHECK(made == 4);
}

TEST_CASE("a set that lacks a file is not kept") {
  const TemporaryFolder folder;
  std::vector<std::string> remarks;
  int made = 0;
  for (int start = 0; start < 2; ++start)
    data::cached(
        folder.path().string(), "set.cache", key_of("a"),
        [&] {
          ++made;
          data::WorkingSet set = small_set();
          set.complete = false;
          return set;
        },
        remarks);
  CHECK(made == 2);
  CHECK(files_in(folder.path()) == 0);
}

mode_t mode_of(const fs::path& file) {
  struct stat status {};
  REQUIRE(::lstat(file.c_str(), &status) == 0);
  return status.st_mode & 0777;
}

TEST_CASE("in a folder that its group may write, caches are the group's; elsewhere the umask decides") {
  const TemporaryFolder folder;
  const mode_t before = ::umask(077);
  for (const auto& [folder_mode, file_mode] : {std::pair{0770, 0640}, std::pair{0700, 0600}}) {
    REQUIRE(::chmod(folder.path().c_str(), static_cast<mode_t>(folder_mode)) == 0);
    data::write_cache(folder / "set.cache", key_of("a"), small_set());
    CHECK(mode_of(folder / "set.cache") == static_cast<mode_t>(file_mode));
  }
  ::umask(022);
  data::write_cache(folder / "set.cache", key_of("a"), small_set());
  CHECK(mode_of(folder / "set.cache") == 0644);
  ::umask(before);
}

TEST_CASE("where everybody may write, a stranger's cache is neither taken nor replaced") {
  const TemporaryFolder folder;
  const uid_t self = ::geteuid(), stranger = self + 4711;
  // Everybody trusts root's files, so the stranger here is the current user as seen by another user.
  const data::CacheFolder mine(folder.path()), others(folder.path(), stranger);
  const Bytes bytes{1, 2, 3}, own{4, 5};
  CHECK(mine.write("set.cache", bytes).empty());
  REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
  CHECK(others.read(folder / "set.cache", 100) == bytes);
  REQUIRE(::chmod(folder.path().c_str(), 01777) == 0);
  CHECK(mine.read(folder / "set.cache", 100) == bytes);
  if (self != 0) CHECK(others.read(folder / "set.cache", 100).empty());
  if (self == 0) {
    REQUIRE(::chown((folder / "set.cache").c_str(), stranger, static_cast<gid_t>(-1)) == 0);
    CHECK(mine.read(folder / "set.cache", 100).empty());
    CHECK(others.read(folder / "set.cache", 100) == bytes);
    CHECK(mine.write("set.cache", own).empty());
    CHECK(contents(folder / "set.cache") == bytes);
    CHECK(mine.read(mine.candidates("set.cache").back(), 100) == own);
    CHECK(files_in(folder.path()) == 2);
  }
  // A stranger's link is not trusted, wherever it leads.
  fs::create_symlink("set.cache", folder / "link.cache");
  CHECK(others.read(folder / "link.cache", 100).empty());
}

TEST_CASE("a folder in which nothing belongs to who wrote it cannot be trusted, and says so") {
  const TemporaryFolder folder;
  REQUIRE(::chmod(folder.path().c_str(), 0777) == 0);
  if (::geteuid() == 0) return;  // everybody trusts root's files
  try {
    data::CacheFolder(folder.path(), ::geteuid() + 1).write("set.cache", {1});
    FAIL("written");
  } catch (const Error& error) {
    holds(error.what(), "belongs to another");
  }
  CHECK(files_in(folder.path()) == 0);
}

TEST_CASE("a cache that cannot be written costs nothing but time") {
  const TemporaryFolder folder;
  write_file(folder / "file", {1});
  const std::string directory = (folder / "file") + "/below";  // below a file, invalid even for root
  holds(
      [&] {
        try {
          data::write_cache(fs::path(directory) / "set.cache", key_of("a"), small_set());
        } catch (const Error& error) {
          return std::string(error.what());
        }
        return std::string();
      }(),
      "cannot be made");
  std::vector<std::string> remarks;
  require_equal(data::cached(directory, "set.cache", key_of("a"), small_set, remarks), small_set());
  REQUIRE(remarks.size() == 1);
  holds(remarks[0], "every run rebuilds its datasets; set OUTERLOOP_CACHE_DIR");
}

/// Opens crops in `count` concurrent processes; true if all get the same data.
bool open_at_once(const data::DatasetRequest& request, const fs::path& cache, const std::string& expected,
                  int count) {
  std::vector<pid_t> children;
  for (int i = 0; i < count; ++i) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      bool same = false;
      try {
        same = data::open_dataset(request, cache.string())->sha256 == expected;
      } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
      }
      ::_exit(same ? 0 : 1);
    }
    children.push_back(child);
  }
  bool all = true;
  for (const pid_t child : children) {
    int status = 0;
    all = ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0 && all;
  }
  return all;
}

TEST_CASE("several processes may open one cache at once, whole, missing or damaged") {
  const TemporaryFolder folder;
  for (std::uint64_t seed = 0; seed < 3; ++seed)
    write_file(folder / ("pictures/" + std::to_string(seed) + ".png"), encode_png(waves(200, 160, seed)));
  const data::DatasetRequest request{"crops", (folder / "pictures"), 14, {}, {}};
  const fs::path cache = folder / "cache";
  const std::string expected = data::open_dataset(request, "")->sha256;
  for (int round = 0; round < 4; ++round) {
    CHECK(open_at_once(request, cache, expected, 6));
    CHECK(files_in(cache) == 2);  // at 28 × 28 and at 14 × 14
    for (const auto& entry : fs::directory_iterator(cache)) {
      const fs::path file = entry.path();
      if (round % 2 == 0) {
        Bytes bytes = contents(file);
        bytes[bytes.size() - 1] ^= 1;
        write_file(file, bytes);
      } else {
        fs::remove(file);
      }
    }
  }
}

TEST_CASE("a dataset from the cache is the one that was made, until its files change") {
  const TemporaryFolder folder;
  for (std::uint64_t seed = 0; seed < 4; ++seed)
    write_file(folder / ("pictures/" + std::to_string(seed) + ".png"), encode_png(waves(200, 160, seed)));
  const data::DatasetRequest request{"crops", (folder / "pictures"), 14, {}, {}};
  const std::string cache = (folder / "cache");
  const auto made = data::open_dataset(request, cache);
  const auto read = data::open_dataset(request, cache);
  CHECK(made->sha256 == read->sha256);
  CHECK(made->pixels == read->pixels);
  CHECK(made->labels == read->labels);
  CHECK(made->classes() == 4);
  write_file(folder / "pictures/3.png", encode_png(waves(210, 160, 9)));
  const auto changed = data::open_dataset(request, cache);
  CHECK(changed->sha256 != made->sha256);
  CHECK(changed->sha256 == data::open_dataset(request, "")->sha256);
  fs::remove(folder / "pictures/3.png");
  CHECK(data::open_dataset(request, cache)->classes() == 3);
}

TEST_CASE("the default cache directory follows the environment") {
  ::setenv("OUTERLOOP_CACHE_DIR", "/c", 1);
  ::setenv("XDG_CACHE_HOME", "/x", 1);
  ::setenv("HOME", "/h", 1);
  CHECK(data::default_cache_directory() == "/c");
  ::unsetenv("OUTERLOOP_CACHE_DIR");
  CHECK(data::default_cache_directory() == "/x/outerloop");
  ::setenv("XDG_CACHE_HOME", "", 1);
  CHECK(data::default_cache_directory() == "/h/.cache/outerloop");
  ::unsetenv("HOME");
  CHECK(data::default_cache_directory().empty());
}

}  // namespace
}  // namespace outerloop::tests
