// Lists of files: clutter, links, cycles, unreadable entries, and remarks about the rest.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "common/base/error.h"
#include "common/data/listing.h"
#include "common/data/source_files.h"
#include "tests/catch.h"
#include "tests/data/as_nobody.h"
#include "tests/data/files.h"

namespace outerloop::tests {
namespace {

namespace fs = std::filesystem;

/// Paths below the folder.
std::vector<std::string> below(const TemporaryFolder& folder, const std::vector<fs::path>& files) {
  std::vector<std::string> names;
  for (const fs::path& file : files) names.push_back(file.lexically_relative(folder.path()).string());
  return names;
}

using Names = std::vector<std::string>;

TEST_CASE("what systems and editors leave in folders is in no list") {
  const TemporaryFolder folder;
  for (const char* name : {"a/1.png", "a/._1.png", "a/.ipynb_checkpoints/1.png", ".hidden/1.png",
                           "__MACOSX/a/1.png", "a/@eaDir/1.png", "lost+found/1.png", "a/Thumbs.db",
                           "a/desktop.ini", "a/.DS_Store", "$RECYCLE.BIN/1.png"})
    write_file(folder / name, {'x'});
  const data::Listing listing = data::list_tree(folder.path(), {".png"});
  CHECK(below(folder, listing.files) == Names{"a/1.png"});
  CHECK(listing.folders == Names{"a"});
  CHECK(data::listing_remarks(listing, folder.path(), "d", ".png", true).empty());
}

TEST_CASE("links to folders are read, each folder once below one of the root's") {
  const TemporaryFolder folder;
  write_file(folder / "store/a/1.png", {'x'});
  write_file(folder / "p/b/2.png", {'x'});
  write_file(folder / "p/b/deep/3.png", {'x'});
  fs::create_directory_symlink("../store/a", folder / "p/a");
  fs::create_directory_symlink("../../store/a", folder / "p/b/more");
  fs::create_directory_symlink("deep", folder / "p/b/again");  // sorts before deep, not confused with it
  fs::create_symlink("../../store/a/1.png", folder / "p/b/file.png");
  const data::Listing listing = data::list_tree(folder / "p", {".png"});
  CHECK(below(folder, listing.files) ==
        Names{"p/a/1.png", "p/b/2.png", "p/b/deep/3.png", "p/b/file.png", "p/b/more/1.png"});
  CHECK(listing.folders == Names{"a", "b"});
  CHECK(below(folder, listing.circles) == Names{"p/b/again"});
  CHECK(listing.linked == std::set<fs::path>{fs::canonical(folder / "store/a")});
}

TEST_CASE("circles of links end, and are said") {
  const TemporaryFolder folder;
  for (const char* name : {"p/a/1.png", "p/b/2.png", "outside/3.png"}) write_file(folder / name, {'x'});
  fs::create_directory_symlink(".", folder / "p/a/self");
  fs::create_directory_symlink("..", folder / "p/a/root");
  fs::create_directory_symlink("../..", folder / "p/a/above_the_root");
  fs::create_directory_symlink("../b", folder / "p/a/other");
  fs::create_directory_symlink("../a", folder / "p/b/back");
  fs::create_directory_symlink(folder / "p", folder / "outside/in_again");
  fs::create_directory_symlink(folder / "outside", folder / "p/c");
  fs::create_symlink("endless", folder / "p/a/endless");
  const data::Listing listing = data::list_tree(folder / "p", {".png"});
  CHECK(below(folder, listing.files) ==
        Names{"p/a/1.png", "p/a/other/2.png", "p/b/2.png", "p/b/back/1.png", "p/c/3.png"});
  CHECK(listing.circles.size() >= 5);
  REQUIRE(listing.unreadable.size() >= 1);
  const auto remarks = data::listing_remarks(listing, folder / "p", "d", ".png", true);
  const auto said = [&](const std::string& part) {
    return std::any_of(remarks.begin(), remarks.end(),
                       [&](const std::string& line) { return line.find(part) != std::string::npos; });
  };
  CHECK(said("p/a/root is not followed"));
  CHECK(said("p/a/endless ("));
}

TEST_CASE("other formats are counted once for each folder and kind, the first ten named") {
  const TemporaryFolder folder;
  for (const char* name :
       {"a/1.png", "a/2.BMP", "a/3.bmp", "a/4.tif", "a/plain", "b/deep/5.gif", "notes.txt"})
    write_file(folder / name, {'x'});
  const data::Listing listing = data::list_tree(folder.path(), {".png"});
  const std::string root = folder.path().string();
  CHECK(data::listing_remarks(listing, folder.path(), "d", ".png", true) ==
        Names{"d: passed over 1 .txt file in " + root + ": read are .png",
              "d: passed over 1 file without an extension in " + root + "/a: read are .png",
              "d: passed over 2 .bmp files in " + root + "/a: read are .png",
              "d: passed over 1 .tif file in " + root + "/a: read are .png",
              "d: passed over 1 .gif file in " + root + "/b: read are .png",
              "d: no class b: " + root + "/b holds no picture that can be read"});
  CHECK(data::other_formats(listing) == "1 without an extension, 2 .bmp, 1 .gif, 1 .tif, 1 .txt");
  for (int i = 0; i < 20; ++i) write_file(folder / ("many/1." + std::to_string(i)), {'x'});
  const auto remarks =
      data::listing_remarks(data::list_tree(folder.path(), {".png"}), folder.path(), "d", ".png", false);
  REQUIRE(remarks.size() == 11);
  CHECK(remarks.back() == "d: other formats were passed over 15 times more in " + root);
}

TEST_CASE("what cannot be looked at is named") {
  const TemporaryFolder folder;
  write_file(folder / "a/1.png", {'x'});
  fs::create_symlink("nowhere", folder / "a/broken.png");
  fs::create_symlink("../../store/b", folder / "b");  // a class, if it were not dangling
  REQUIRE(::mkfifo((folder / "a/pipe.png").c_str(), 0600) == 0);
  const data::Listing listing = data::list_tree(folder.path(), {".png"});
  const std::string root = folder.path().string();
  CHECK(listing.unreadable == Names{root + "/a/broken.png (a link to nothing)",
                                    root + "/a/pipe.png (no regular file)", root + "/b (a link to nothing)"});
  CHECK(below(folder, listing.files) == Names{"a/1.png"});
  holds(refusal([&] { data::list_files(folder.path(), {".png"}); }), "a/broken.png (a link to nothing)");
  holds(refusal([&] { data::list_tree(folder / "none", {".png"}); }), "no such folder");
  // A pipe without a writer must not block.
  holds(refusal([&] { data::read_file(folder / "a/pipe.png", 10); }), "is a pipe");
  REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
  REQUIRE(::chmod((folder / "a").c_str(), 0) == 0);
  data::Listing closed;
  {
    const AsNobody nobody;
    closed = data::list_tree(folder.path(), {".png"});
  }
  CHECK(::chmod((folder / "a").c_str(), 0755) == 0);
  CHECK(closed.files.empty());
  holds(closed.unreadable.front(), root + "/a (Permission denied)");
}

}  // namespace
}  // namespace outerloop::tests
