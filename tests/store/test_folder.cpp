// The checkpoint folder: kept and skipped files, and a full disk.
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "common/store/atomic_file.h"
#include "tests/catch.h"
#include "tests/store/support.h"

using namespace outerloop;
using namespace outerloop::store;
using namespace outerloop::tests;
namespace fs = std::filesystem;

namespace {

/// Limits the files of this process to `bytes` during its lifetime: writes fail as on a full disk, but with
/// EFBIG.
class SmallDisk {
 public:
  explicit SmallDisk(rlim_t bytes) {
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~SmallDisk() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_;
  void (*handler_)(int);
};

void damage(const std::string& path) {
  std::string bytes = read_bytes(path);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
  write_bytes(path, bytes);
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("checkpoints are numbered, `latest` points at the newest, old ones go") {
  const Folder root;
  CheckpointFolder folder(root / "checkpoints");
  CheckpointFolder::Found found;
  CHECK_FALSE(folder.read_latest(found));  // no folder
  fs::create_directory(root / "checkpoints");
  CHECK_FALSE(folder.read_latest(found));  // an empty one

  for (const std::int64_t update : {0, 5, 10, 1000}) folder.write(sample_checkpoint(update), 2);
  CHECK(fs::read_symlink(root / "checkpoints/latest") == "000001000.h5");
  CHECK(folder.path_of(10) == root / "checkpoints/000000010.h5");
  CHECK(fs::exists(folder.path_of(10)));
  CHECK_FALSE(fs::exists(folder.path_of(0)));
  CHECK_FALSE(fs::exists(folder.path_of(5)));
  REQUIRE(folder.read_latest(found));
  CHECK(found.path == folder.path_of(1000));
  CHECK(found.checkpoint.rule.update == 1000);
  CHECK(found.passed_over.empty());

  folder.write(sample_checkpoint(1000), 0);  // the same update again, keep all
  CHECK(fs::exists(folder.path_of(10)));
  folder.write(sample_checkpoint(9999999999), 0);  // more digits than nine
  REQUIRE(folder.read_latest(found));
  CHECK(found.checkpoint.rule.update == 9999999999);
  CHECK_THROWS_AS(folder.write(sample_checkpoint(-1), 0), Error);
}

TEST_CASE("a damaged checkpoint is passed over and named") {
  const Folder root;
  CheckpointFolder folder(root.path());
  for (const std::int64_t update : {1, 2, 3}) folder.write(sample_checkpoint(update), 0);
  damage(folder.path_of(3));
  CheckpointFolder::Found found;
  REQUIRE(folder.read_latest(found));
  CHECK(found.checkpoint.rule.update == 2);
  REQUIRE(found.passed_over.size() == 1);
  CHECK(contains(found.passed_over[0], folder.path_of(3)));

  SECTION("and set aside once the run has gone beyond it") {
    folder.write(sample_checkpoint(2), 1);
    CHECK(root.names() == Names{"000000002.h5", "000000003.h5.superseded", "latest"});
    CHECK(fs::read_symlink(root / "latest") == "000000002.h5");
  }
  SECTION("where all are damaged, all are named") {
    fs::resize_file(folder.path_of(2), 100);
    fs::resize_file(folder.path_of(1), 0);
    const auto line = refusal([&] { folder.read_latest(found); });
    for (const int update : {1, 2, 3}) CHECK(contains(line, folder.path_of(update)));
  }
}

TEST_CASE("a cut or a flipped bit in any 4 KiB block of the newest leads to the one before it") {
  const Folder root;
  CheckpointFolder folder(root.path());
  folder.write(sample_checkpoint(1), 0);
  Checkpoint large = sample_checkpoint(2);
  for (auto& entry : large.history) entry.second.assign(4000, 1.0);
  folder.write(large, 0);
  const std::string path = folder.path_of(2), whole = read_bytes(path);
  constexpr std::size_t kBlock = 4096;
  REQUIRE(whole.size() > 20 * kBlock);
  const auto check = [&](const std::string& bytes, const char* what, std::size_t place) {
    write_bytes(path, bytes);
    CheckpointFolder::Found found;
    INFO(what << " at " << place << " of " << whole.size());
    REQUIRE(folder.read_latest(found));
    CHECK(found.checkpoint.rule.update == 1);
    REQUIRE(found.passed_over.size() == 1);
    CHECK(contains(found.passed_over[0], path));
    CHECK(contains(found.passed_over[0], "use another checkpoint, or copy it again"));
  };
  for (std::size_t block = kBlock; block < whole.size(); block += kBlock)
    check(whole.substr(0, block), "cut", block);
  for (std::size_t block = 0; block < whole.size(); block += kBlock) {
    const std::size_t place = std::min(whole.size() - 1, block + (block / kBlock * 1543 + 600) % kBlock);
    std::string flipped = whole;
    flipped[place] = static_cast<char>(flipped[place] ^ (1 << (block / kBlock % 8)));
    check(flipped, "flipped", place);
  }
}

TEST_CASE("what a crash left behind is neither read nor kept") {
  const Folder root;
  CheckpointFolder folder(root.path());
  folder.write(sample_checkpoint(1), 0);
  write_bytes(root / "000000002.h5.4711.0.tmp", read_bytes(folder.path_of(1)).substr(0, 2000));
  fs::create_symlink("nowhere", root / "latest.4711.0.tmp");
  CheckpointFolder::Found found;
  REQUIRE(folder.read_latest(found));
  CHECK(found.checkpoint.rule.update == 1);
  CHECK(found.passed_over.empty());
  folder.write(sample_checkpoint(2), 0);
  CHECK(root.names() == Names{"000000001.h5", "000000002.h5", "latest"});
}

TEST_CASE("a pipe in place of the newest checkpoint is passed over, and set aside by the next one") {
  const Folder root;
  CheckpointFolder folder(root.path());
  folder.write(sample_checkpoint(1), 4);
  REQUIRE(mkfifo(folder.path_of(2).c_str(), 0600) == 0);
  CheckpointFolder::Found found;
  REQUIRE(folder.read_latest(found));
  CHECK(found.checkpoint.rule.update == 1);
  REQUIRE(found.passed_over.size() == 1);
  CHECK(contains(found.passed_over[0], "is no regular file"));
  folder.write(sample_checkpoint(2), 4);
  REQUIRE(folder.read_latest(found));
  CHECK(found.checkpoint.rule.update == 2);
  CHECK(found.passed_over.empty());
}

TEST_CASE("a full disk leaves the old file whole") {
  const Folder root;
  const std::string path = root / "c.h5";
  write_checkpoint(path, sample_checkpoint(1));
  const auto before = read_bytes(path);
  std::string line;
  {
    const SmallDisk disk(4096);
    try {
      write_checkpoint(path, sample_checkpoint(2));
    } catch (const InputError&) {
      line = "an InputError";  // a full disk is not an input error
    } catch (const Error& error) {
      line = error.what();
    }
  }
  INFO(line);
  CHECK(contains(line, path + ": cannot be written: File too large"));
  CHECK(read_bytes(path) == before);
  CHECK(root.names() == Names{"c.h5"});
  CHECK(read_checkpoint(path).rule.update == 1);

  // The same on a device that is always full, written directly.
  std::string full;
  try {
    write_file_atomically("/dev/full", "text");
  } catch (const Error& error) {
    full = error.what();
  }
  CHECK(contains(full, "/dev/full: cannot be written: No space left on device"));
}

TEST_CASE("a folder that is a file, or not there, is named") {
  const Folder root;
  write_bytes(root / "file", "x");
  CHECK_THROWS_AS(write_rule(root / "none/rule.h5", sample_rule()), Error);
  CHECK_THROWS_AS(write_rule(root / "file/rule.h5", sample_rule()), Error);
  CHECK_THROWS_AS(write_rule(root.path(), sample_rule()), Error);
  CheckpointFolder folder(root / "file");
  CHECK_THROWS_AS(folder.write(sample_checkpoint(1), 0), Error);
  CheckpointFolder::Found found;
  CHECK(contains(refusal([&] { folder.read_latest(found); }), root / "file"));
}

TEST_CASE("an atomic write keeps links and gives the usual permissions") {
  const Folder root;
  write_file_atomically(root / "real.txt", "one");
  fs::create_symlink("real.txt", root / "link.txt");
  write_file_atomically(root / "link.txt", "two");
  CHECK(fs::is_symlink(root / "link.txt"));
  CHECK(read_bytes(root / "real.txt") == "two");
  const mode_t mask = umask(0);
  umask(mask);
  struct stat status {};
  REQUIRE(stat((root / "real.txt").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == (0666 & ~mask));
}
