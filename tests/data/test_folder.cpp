// A folder of classes of pictures.
#include "common/base/error.h"
#include "common/data/dataset.h"
#include "common/data/picture_folder.h"
#include "common/data/source_files.h"
#include "tests/catch.h"
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
  write_file(folder / "data/a/1.png", text_bytes("no picture"));
  holds(message(folder / "data"), "can be read");
}

}  // namespace
}  // namespace outerloop::tests
