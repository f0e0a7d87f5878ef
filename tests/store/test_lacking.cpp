// File systems without links, fsync of folders, or renames onto existing files (exFAT, SMB, FUSE): a complete
// checkpoint counts, and real failures are distinguished from missing calls.
#include <cerrno>

#include "common/store/atomic_file.h"
#include "common/store/optional_call.h"
#include "tests/catch.h"
#include "tests/store/lacking_file_system.h"
#include "tests/store/support.h"

using namespace outerloop;
using namespace outerloop::store;
using namespace outerloop::tests;
namespace fs = std::filesystem;

namespace {

using Names = std::vector<std::string>;

/// what() of the Error that `action` throws; "" if it throws none.
template <class Action>
std::string failure(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("without links checkpoints are written, rotated and found") {
  for (const int code : {EPERM, EOPNOTSUPP, ENOSYS, EINVAL, EIO, ENOSPC}) {
    const Folder root;
    CheckpointFolder folder(root.path());
    folder.write(sample_checkpoint(1), 2);
    CHECK(folder.link_refusal().empty());
    LackingFileSystem lacking;
    lacking.symlink = code;
    for (const std::int64_t update : {5, 10, 15}) {
      CHECK(folder.write(sample_checkpoint(update), 2).size() == 64);
      CHECK(contains(folder.link_refusal(), "latest: the link cannot be made"));
    }
    // A link to an older checkpoint would mislead.
    CHECK(root.names() == Names{"000000010.h5", "000000015.h5"});
    CheckpointFolder::Found found;
    REQUIRE(folder.read_latest(found));
    CHECK(found.checkpoint.rule.update == 15);
    CHECK(read_checkpoint(root / "latest").rule.update == 15);
    CHECK(read_rule(root / "latest").update == 15);
    CHECK(read_contents(root / "latest").checkpoint.rule.update == 15);
  }
}

TEST_CASE("whatever `latest` is, the newest checkpoint is found, and a link that can be moved is") {
  const Folder root;
  CheckpointFolder folder(root.path());
  folder.write(sample_checkpoint(1), 0);
  folder.write(sample_checkpoint(2), 0);
  SECTION("it leads nowhere") {
    fs::remove(root / "latest");
    fs::create_symlink("000000099.h5", root / "latest");
    CHECK(read_checkpoint(root / "latest").rule.update == 2);
  }
  SECTION("it is a copy, as of a tool that follows links") {
    fs::remove(root / "latest");
    fs::copy_file(folder.path_of(1), root / "latest");
    folder.write(sample_checkpoint(3), 0);
    CHECK(fs::read_symlink(root / "latest") == "000000003.h5");
  }
  SECTION("it is a folder") {
    fs::remove(root / "latest");
    fs::create_directories(root / "latest/x");
    folder.write(sample_checkpoint(3), 0);
    CHECK(contains(folder.link_refusal(), "latest: the link cannot be moved"));
    CheckpointFolder::Found found;
    REQUIRE(folder.read_latest(found));
    CHECK(found.checkpoint.rule.update == 3);
    CHECK(fs::exists(root / "latest/x"));
  }
  CHECK(contains(refusal([&] { read_checkpoint(root / "none/latest"); }), "none/latest: cannot be opened"));
}

TEST_CASE("a folder that cannot be flushed by its nature is written to, one whose flush fails is an error") {
  for (const int code : {EINVAL, EOPNOTSUPP, ENOSYS, ENOTSUP, EROFS}) {
    const Folder root;
    LackingFileSystem lacking;
    lacking.flush_folder = lacking.flush_file = code;
    write_file_atomically(root / "a.txt", "text");
    CHECK(read_bytes(root / "a.txt") == "text");
  }
  for (const int code : {EIO, ENOSPC, EDQUOT}) {
    const Folder root;
    LackingFileSystem lacking;
    lacking.flush_folder = code;
    CHECK(contains(failure([&] { write_file_atomically(root / "a.txt", "text"); }), "cannot be flushed"));
    lacking.flush_folder = 0;
    lacking.flush_file = code;
    CHECK(contains(failure([&] { write_file_atomically(root / "b.txt", "text"); }), "cannot be flushed"));
    CHECK(root.names() == Names{"a.txt"});
  }
}

TEST_CASE("where a rename does not replace, what is there goes first") {
  const Folder root;
  LackingFileSystem lacking;
  lacking.rename_over = EEXIST;
  write_file_atomically(root / "a.txt", "one");
  write_file_atomically(root / "a.txt", "two");
  CHECK(read_bytes(root / "a.txt") == "two");
  CheckpointFolder folder(root / "checkpoints");
  for (const std::int64_t update : {1, 2, 2, 3}) folder.write(sample_checkpoint(update), 2);
  CHECK(fs::read_symlink(root / "checkpoints/latest") == "000000003.h5");
  folder.write(sample_checkpoint(2), 0);
  CHECK(fs::exists(folder.path_of(3) + ".superseded"));
  // Any other error is reported, and the old file stays.
  lacking.rename_over = EACCES;
  CHECK(contains(failure([&] { write_file_atomically(root / "a.txt", "three"); }), "cannot be replaced"));
  CHECK(read_bytes(root / "a.txt") == "two");
}

TEST_CASE("what a resume has set aside goes with the checkpoints beyond `keep`") {
  const Folder root;
  CheckpointFolder folder(root.path());
  for (const std::int64_t update : {10, 20, 30}) folder.write(sample_checkpoint(update), 3);
  folder.write(sample_checkpoint(25), 3);
  CHECK(root.names() ==
        Names{"000000010.h5", "000000020.h5", "000000025.h5", "000000030.h5.superseded", "latest"});
  folder.write(sample_checkpoint(35), 3);
  CHECK(root.names() == Names{"000000020.h5", "000000025.h5", "000000035.h5", "latest"});
  // All are kept: so are these.
  folder.write(sample_checkpoint(30), 0);
  folder.write(sample_checkpoint(40), 0);
  CHECK(fs::exists(folder.path_of(35) + ".superseded"));
}

TEST_CASE("a checkpoint that cannot be read just now is not passed over for an older one") {
  const Folder root;
  CheckpointFolder folder(root.path());
  for (const std::int64_t update : {1, 2}) folder.write(sample_checkpoint(update), 0);
  CheckpointFolder::Found found;
  {
    LackingFileSystem lacking;
    lacking.read = EIO;
    const std::string line = failure([&] { folder.read_latest(found); });
    CHECK(contains(line, "000000002.h5: cannot be read: Input/output error"));
    CHECK(contains(line, "once it can be read, the run continues from it"));
  }
  REQUIRE(folder.read_latest(found));
  CHECK(found.checkpoint.rule.update == 2);
}
