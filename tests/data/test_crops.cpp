// Crops of photographs.
#include <algorithm>
#include <cmath>
#include <set>

#include "common/data/crops.h"
#include "common/data/dataset.h"
#include "tests/catch.h"
#include "tests/data/files.h"

namespace outerloop::tests {
namespace {

data::GreyImage flat(std::int64_t width, std::int64_t height) {
  data::GreyImage image{width, height, Bytes(static_cast<std::size_t>(width * height), 90)};
  return image;
}

double deviation(const std::uint8_t* pixels) {
  double mean = 0.0;
  double squares = 0.0;
  for (int i = 0; i < 784; ++i) {
    mean += pixels[i] / 784.0;
    squares += pixels[i] * pixels[i] / 784.0;
  }
  return std::sqrt(squares - mean * mean);
}

TEST_CASE("a picture's name leaves out its size and its time of day") {
  const auto name = [](const char* file) {
    return data::picture_name("/root", std::string("/root/") + file);
  };
  CHECK(name("mate/Elephants_3840x2160.jpg") == "mate/elephants");
  CHECK(name("mate/Elephants.jpg") == "mate/elephants");
  CHECK(name("wood-d.webp") == "wood");
  CHECK(name("wood-l.webp") == "wood");
  CHECK(name("Stripes-Dark.png") == "stripes");
  CHECK(name("stripes_light.png") == "stripes");
  CHECK(name("a.b/c-d.e.png") == "a.b/c-d.e");
  CHECK(name("world.png") == "world");
  CHECK(name("a_1x1.png") == "a_1x1");
  CHECK(name("a-800x600x3.png") == "a-800x600x3");
  CHECK(name("a/-l.png") == "a/-l");
  CHECK(name("x.png") == "x");
}

TEST_CASE("crops are as many as promised, none of them flat, the same for the same name") {
  const data::GreyImage picture = waves(300, 200, 1);
  const Bytes crops = data::crop_picture(picture, "a");
  REQUIRE(crops.size() == 400 * 784);
  for (std::size_t i = 0; i < 400; ++i) CHECK(deviation(crops.data() + 784 * i) > data::kFlatDeviation);
  CHECK(data::crop_picture(picture, "a") == crops);
  CHECK(data::crop_picture(picture, "b") != crops);
}

TEST_CASE("crops lie anywhere in the picture, at sides from 28 pixels to half the picture") {
  // Brightness encodes the position: x in steps of one; the contrast within a crop encodes its side.
  data::GreyImage ramp = flat(256, 256);
  for (std::size_t i = 0; i < ramp.pixels.size(); ++i) ramp.pixels[i] = static_cast<std::uint8_t>(i % 256);
  const Bytes crops = data::crop_picture(ramp, "ramp");
  REQUIRE(!crops.empty());
  double smallest = 1e9;
  double largest = 0.0;
  int left = 255;
  int right = 0;
  for (std::size_t i = 0; i < 400; ++i) {
    const std::uint8_t* crop = crops.data() + 784 * i;
    const double side = (crop[27] - crop[0]) * 28.0 / 27.0;
    smallest = std::min(smallest, side);
    largest = std::max(largest, side);
    left = std::min<int>(left, crop[0]);
    right = std::max<int>(right, crop[27]);
  }
  CHECK(smallest >= 26.0);
  CHECK(smallest < 32.0);
  CHECK(largest > 115.0);
  CHECK(largest <= 130.0);
  CHECK(left < 8);
  CHECK(right > 247);
}

TEST_CASE("flat, nearly flat and small pictures give no crops") {
  CHECK(data::crop_picture(flat(300, 200), "flat").empty());
  data::GreyImage nearly = flat(600, 600);
  for (std::int64_t y = 0; y < 60; ++y)
    for (std::int64_t x = 0; x < 60; ++x) nearly.pixels[static_cast<std::size_t>(600 * y + x)] = 255;
  CHECK(data::crop_picture(nearly, "nearly").empty());
  CHECK(data::crop_picture(waves(300, 55, 1), "small").empty());
  CHECK(!data::crop_picture(waves(300, 56, 1), "large enough").empty());
}

TEST_CASE("a folder of pictures: damaged, flat and doubled ones are passed over") {
  const TemporaryFolder folder;
  const data::GreyImage wood = waves(300, 200, 1);
  data::GreyImage negative = wood;
  for (std::uint8_t& pixel : negative.pixels) pixel = static_cast<std::uint8_t>(255 - pixel);
  write_file(folder / "a/wood-d.png", encode_png(wood));
  write_file(folder / "a/wood-l.png", encode_png(waves(300, 200, 2)));  // a variant, by its name
  write_file(folder / "b/copy.jpg", encode_jpeg(wood));                 // the same picture, by its content
  write_file(folder / "b/negative.webp", encode_webp(negative));        // the same picture, by its content
  write_file(folder / "b/flat.png", encode_png(flat(300, 200)));
  write_file(folder / "c/Other.JPEG", encode_jpeg(waves(220, 230, 3), true));
  write_file(folder / "c/third.webp", encode_webp(waves(220, 230, 4), false));
  write_file(folder / "c/cut.png", first_bytes(encode_png(wood), 500));
  write_file(folder / "c/notes.txt", {'x'});
  write_file(folder / "c/drawing.svg", {'<'});
  const auto dataset = data::open_dataset({"crops", folder.path().string(), 10, {}, {}}, "");
  CHECK(dataset->class_names == std::vector<std::string>{"a/wood", "c/other", "c/third"});
  CHECK(dataset->examples() == 1200);
  CHECK(dataset->inputs == 100);
  for (const auto& rows : dataset->examples_of_class) CHECK(rows.size() == 400);
}

TEST_CASE("a folder without pictures to crop says what to do") {
  const TemporaryFolder folder;
  const auto message = [&] {
    return refusal([&] { data::open_dataset({"crops", folder.path().string(), 14, {}, {}}, ""); });
  };
  holds(message(), "no .jpg, .png or .webp pictures in " + folder.path().string());
  write_file(folder / "flat.png", encode_png(flat(100, 100)));
  holds(message(), "each of the 1 pictures");
  holds(refusal([&] {
          data::open_dataset({"crops", (folder / "none"), 14, {}, {}}, "");
        }),
        "apt-get install mate-backgrounds");
}

}  // namespace
}  // namespace outerloop::tests
