// Folders of picture classes.
#include <functional>

#include "common/base/error.h"
#include "common/data/dataset.h"
#include "common/data/listing.h"
#include "common/data/picture_folder.h"
#include "tests/catch.h"
#include "tests/data/as_nobody.h"
#include "tests/data/files.h"

namespace outerloop::tests {
namespace {

data::GreyImage flat(std::int64_t width, std::int64_t height, std::uint8_t value) {
  return {width, height, Bytes(static_cast<std::size_t>(width * height), value)};
}

TEST_CASE("folders are classes; damaged pictures are passed over; the cache is used until a file changes") {
  const TemporaryFolder folder;
  write_file(folder / "data/cat/deep/1.png", encode_png(waves(50, 40, 1)));
  write_file(folder / "data/cat/2.jpg", encode_jpeg(waves(40, 70, 2)));
  write_file(folder / "data/cat/cut.jpg", first_bytes(encode_jpeg(waves(40, 70, 2)), 300));
  write_file(folder / "data/dog/3.webp", encode_webp(waves(33, 33, 3)));
  write_file(folder / "data/dog/readme.txt", text_bytes("no picture"));
  write_file(folder / "data/damaged/empty.png", {});
  write_file(folder / "data/stray.png", encode_png(waves(40, 40, 4)));
  const data::DatasetRequest request{"folder", (folder / "data"), 14, {}, {}};
  const auto made = data::open_dataset(request, (folder / "cache"));
  CHECK(made->class_names == std::vector<std::string>{"cat", "dog"});
  CHECK(made->labels == std::vector<std::int32_t>{0, 0, 1});
  CHECK(made->inputs == 196);
  CHECK(data::open_dataset(request, (folder / "cache"))->sha256 == made->sha256);
  write_file(folder / "data/dog/4.png", encode_png(waves(40, 40, 5)));
  const auto more = data::open_dataset(request, (folder / "cache"));
  CHECK(more->examples() == 4);
  CHECK(more->sha256 == data::open_dataset(request, "")->sha256);
}

/// The lines that contain `part`.
std::vector<std::string> with(const std::vector<std::string>& lines, const std::string& part) {
  std::vector<std::string> found;
  for (const std::string& line : lines)
    if (line.find(part) != std::string::npos) found.push_back(line);
  return found;
}

TEST_CASE("what is passed over is said at every start, from the cache too") {
  const TemporaryFolder folder;
  const std::string root = folder / "data";
  write_file(root + "/cat/1.png", encode_png(waves(50, 40, 1)));
  write_file(root + "/cat/2.webp", flat_webp(40, {9, 9, 9, 0}));
  write_file(root + "/cat/3.bmp", text_bytes("BM"));
  for (int i = 0; i < 12; ++i)
    write_file(root + "/dog/" + std::to_string(i) + ".png", text_bytes("no picture"));
  write_file(root + "/stray.png", encode_png(waves(40, 40, 4)));
  std::filesystem::create_directories(root + "/empty");
  const data::DatasetRequest request{"folder", root, 14, {}, {}};
  std::vector<std::string> first, second;
  const auto made = data::open_dataset(request, folder / "cache", &first);
  CHECK(made->class_names == std::vector<std::string>{"cat"});
  CHECK(with(first, "passed over 1 .bmp file in " + root + "/cat").size() == 1);
  CHECK(with(first, "no class empty").size() == 1);
  CHECK(with(first, "no class dog: none of the 12 pictures").size() == 1);
  CHECK(with(first, "neither JPEG, PNG nor WebP").size() == 10);
  CHECK(with(first, "passed over 2 more damaged pictures").size() == 1);
  CHECK(with(first, "1 of the pictures in " + root + " are transparent in parts").size() == 1);
  CHECK(with(first, "those in no folder of their own belong to no class").size() == 1);
  data::open_dataset(request, folder / "cache", &second);
  CHECK(first == second);
}

TEST_CASE("a picture that could not be read is named, and is there again when it can be") {
  const TemporaryFolder folder;
  const std::string root = folder / "data";
  for (const char* name : {"a/1", "a/2", "b/1", "b/2"})
    write_file(root + "/" + name + ".png", encode_png(waves(40, 40, std::hash<std::string>()(name))));
  std::filesystem::create_directories(folder / "cache");
  using std::filesystem::perms;
  std::filesystem::permissions(folder.path(), perms(0755));
  std::filesystem::permissions(folder / "cache", perms(01777));
  const data::DatasetRequest request{"folder", root, 14, {}, {}};
  const auto open = [&](std::vector<std::string>& remarks) {
    const AsNobody nobody;
    return data::open_dataset(request, folder / "cache", &remarks)->examples();
  };
  std::filesystem::permissions(root + "/b/1.png", perms::none);
  std::filesystem::permissions(root + "/b/2.png", perms::none);
  for (int start = 0; start < 2; ++start) {
    std::vector<std::string> remarks;
    CHECK(open(remarks) == 2);
    CHECK(with(remarks, "b/1.png: cannot be read (Permission denied)").size() == 1);
    CHECK(with(remarks, "no class b").size() == 1);
    CHECK(with(remarks, "2 of the pictures in " + root + " could not be read").size() == 1);
  }
  for (const char* name : {"/b/1.png", "/b/2.png"}) std::filesystem::permissions(root + name, perms(0644));
  std::vector<std::string> remarks;
  CHECK(open(remarks) == 4);
  CHECK(remarks.empty());
  std::filesystem::permissions(root + "/b", perms::none);
  CHECK(open(remarks) == 2);
  CHECK(with(remarks, root + "/b (Permission denied)").size() == 1);
  std::filesystem::permissions(root + "/b", perms(0755));
  CHECK(open(remarks) == 4);
}

TEST_CASE("ranges are those of the pictures before they are resized, from the cache too") {
  const TemporaryFolder folder;
  data::GreyImage dots = flat(40, 40, 100);
  dots.pixels[0] = 3;
  dots.pixels[7] = 250;
  write_file(folder / "data/dots/1.png", encode_png(dots));
  write_file(folder / "data/flat/1.png", encode_png(flat(40, 40, 77)));
  for (int start = 0; start < 2; ++start) {
    const auto set = data::open_dataset({"folder", (folder / "data"), 14, {}, {}}, folder / "cache");
    REQUIRE(set->ranges.size() == 2);
    CHECK(set->ranges[0].low == 3.0);
    CHECK(set->ranges[0].high == 250.0);
    CHECK(set->ranges[1].low == 77.0);
    CHECK(set->ranges[1].high == 77.0);
  }
}

TEST_CASE("data in which nothing varies is named") {
  const TemporaryFolder folder;
  for (const char* name : {"a/1", "a/2", "b/1"})
    write_file(folder / (std::string("data/") + name + ".png"), encode_png(flat(40, 40, 7)));
  std::vector<std::string> remarks;
  const data::DatasetRequest request{"folder", (folder / "data"), 14, {}, {}};
  data::open_dataset(request, "", &remarks);
  CHECK(with(remarks, "dataset folder:" + (folder / "data") + ": all 3 examples are equal").size() == 1);
  remarks.clear();
  write_file(folder / "data/b/2.png", encode_png(flat(40, 40, 8)));
  data::open_dataset(request, "", &remarks);
  CHECK(remarks.empty());
}

TEST_CASE("the middle square of a picture is taken") {
  const TemporaryFolder folder;
  data::GreyImage wide = flat(90, 30, 0);
  for (std::int64_t y = 0; y < 30; ++y)
    for (std::int64_t x = 30; x < 60; ++x) wide.pixels[static_cast<std::size_t>(90 * y + x)] = 200;
  write_file(folder / "a/wide.png", encode_png(wide));
  const auto files = data::list_files(folder.path(), {".png"});
  const data::WorkingSet set = data::read_picture_folder(folder.path(), files, 8);
  CHECK(set.pixels == Bytes(64, 200));
}

TEST_CASE("a size beyond the packed one is decoded at that size") {
  const TemporaryFolder folder;
  write_file(folder / "data/a/1.png", encode_png(waves(64, 64, 1)));
  const auto large = data::open_dataset({"folder", (folder / "data"), 64, {}, {}}, (folder / "cache"));
  CHECK(large->pixels == waves(64, 64, 1).pixels);
}

TEST_CASE("folders without a picture that can be read are refused") {
  const TemporaryFolder folder;
  const auto message = [&](const std::string& path) {
    return refusal([&] { data::open_dataset({"folder", path, 14, {}, {}}, ""); });
  };
  holds(message(folder / "none"), "no folder " + (folder / "none"));
  holds(message(""), "folder: no path");
  write_file(folder / "data/a/readme.txt", text_bytes("no picture"));
  holds(message(folder / "data"), "no .jpg, .png or .webp pictures");
  holds(message(folder / "data"), "(other files: 1 .txt)");
  write_file(folder / "data/a/1.png", text_bytes("no picture"));
  holds(message(folder / "data"), "can be read");
  holds(message(folder / "data"), "1.png: neither JPEG, PNG nor WebP");
}

}  // namespace
}  // namespace outerloop::tests
