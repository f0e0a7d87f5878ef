// JPEG, PNG and WebP.
#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/error.h"
#include "common/data/image.h"
#include "tests/catch.h"
#include "tests/data/files.h"

namespace outerloop::tests {
namespace {

double largest_difference(const data::GreyImage& a, const data::GreyImage& b) {
  REQUIRE(a.width == b.width);
  REQUIRE(a.height == b.height);
  REQUIRE(a.pixels.size() == b.pixels.size());
  int worst = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i)
    worst = std::max(worst, std::abs(a.pixels[i] - b.pixels[i]));
  return worst;
}

struct Format {
  const char* name;
  Bytes bytes;
  double tolerance;
};

std::vector<Format> formats(const data::GreyImage& image) {
  return {{"jpeg", encode_jpeg(image), 12},
          {"progressive jpeg", encode_jpeg(image, true), 12},
          {"png", encode_png(image), 0},
          {"lossless webp", encode_webp(image), 0},
          {"lossy webp", encode_webp(image, false), 16}};
}

TEST_CASE("pictures are decoded whatever their extension") {
  const TemporaryFolder folder;
  const data::GreyImage image = waves(61, 43, 1);
  for (const Format& format : formats(image)) {
    INFO(format.name);
    write_file(folder / "picture.jpg", format.bytes);
    CHECK(largest_difference(data::read_picture(folder / "picture.jpg"), image) <= format.tolerance);
  }
}

TEST_CASE("luminance is that of BT.601") {
  const Bytes rgb{255, 255, 255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30};
  Bytes grey(6);
  data::luminance(rgb.data(), 6, grey.data());
  CHECK(grey == Bytes{255, 0, 76, 150, 29, 18});
}

/// The grey value of a single-colour picture, and whether it was transparent.
std::pair<int, bool> grey_of(const Bytes& bytes) {
  const data::GreyImage image =
      bytes[0] == 'R' ? data::decode_webp(bytes, "picture") : data::decode_png(bytes, "picture");
  const auto [low, high] = std::minmax_element(image.pixels.begin(), image.pixels.end());
  REQUIRE(*low == *high);
  return {*low, image.transparent};
}

Bytes repeated(const Bytes& pixel, std::size_t count) {
  Bytes row;
  for (std::size_t i = 0; i < count; ++i) row.insert(row.end(), pixel.begin(), pixel.end());
  return row;
}

TEST_CASE("a grey is the same from 1, 2, 4, 8 and 16 bits, with colours or without") {
  constexpr std::uint8_t kGrey = 0, kRgb = 2;
  const PngChunk srgb{"sRGB", {0}};
  CHECK(grey_of(raw_png(16, 8, kGrey, repeated({128}, 16))).first == 128);
  for (const auto& chunks : {std::vector<PngChunk>{}, std::vector<PngChunk>{srgb}}) {
    CHECK(grey_of(raw_png(16, 16, kGrey, repeated({128, 128}, 16), chunks)).first == 128);
    CHECK(grey_of(raw_png(16, 16, kGrey, repeated({0x0F, 0xFF}, 16), chunks)).first == 16);
    CHECK(grey_of(raw_png(16, 16, kRgb, repeated({128, 128, 128, 128, 128, 128}, 16), chunks)).first == 128);
  }
  CHECK(grey_of(raw_png(16, 4, kGrey, repeated({0x88}, 8))).first == 136);
  CHECK(grey_of(raw_png(16, 2, kGrey, repeated({0xAA}, 4))).first == 170);
  CHECK(grey_of(raw_png(16, 1, kGrey, repeated({0xFF}, 2))).first == 255);
}

TEST_CASE("what is transparent is put on white, in PNG and WebP alike") {
  constexpr std::uint8_t kGrey = 0, kRgb = 2, kPalette = 3, kGreyAlpha = 4, kRgba = 6;
  const PngChunk palette{"PLTE", {128, 128, 128, 0, 0, 0}};
  const auto half = std::pair{191, true};  // 128 half on 255
  const auto clear = std::pair{255, true};
  CHECK(grey_of(raw_png(16, 8, kGreyAlpha, repeated({128, 128}, 16))) == half);
  CHECK(grey_of(raw_png(16, 16, kGreyAlpha, repeated({128, 128, 128, 128}, 16))) == half);
  CHECK(grey_of(raw_png(16, 8, kRgba, repeated({128, 128, 128, 128}, 16))) == half);
  CHECK(grey_of(flat_webp(16, {128, 128, 128, 128})) == half);
  CHECK(grey_of(raw_png(16, 8, kPalette, repeated({0}, 16), {palette, {"tRNS", {128}}})) == half);
  CHECK(grey_of(raw_png(16, 8, kRgba, repeated({0, 0, 0, 0}, 16))) == clear);
  CHECK(grey_of(flat_webp(16, {0, 0, 0, 0})) == clear);
  CHECK(grey_of(raw_png(16, 8, kGrey, repeated({7}, 16), {{"tRNS", {0, 7}}})) == clear);
  CHECK(grey_of(raw_png(16, 8, kRgb, repeated({1, 2, 3}, 16), {{"tRNS", {0, 1, 0, 2, 0, 3}}})) == clear);
  // A fully opaque alpha channel does not count as transparency.
  CHECK(grey_of(raw_png(16, 8, kRgba, repeated({128, 128, 128, 255}, 16))) == std::pair{128, false});
  CHECK(grey_of(flat_webp(16, {128, 128, 128, 255})) == std::pair{128, false});
  CHECK(grey_of(raw_png(16, 8, kGrey, repeated({7}, 16), {{"tRNS", {0, 8}}})) == std::pair{7, false});
}

TEST_CASE("a picture cut at any byte is refused by name") {
  const TemporaryFolder folder;
  for (const Format& format : formats(waves(40, 33, 2))) {
    for (std::size_t length = 0; length < format.bytes.size(); length += 1 + length / 97) {
      INFO(format.name << " cut to " << length << " of " << format.bytes.size() << " bytes");
      write_file(folder / "cut", first_bytes(format.bytes, length));
      holds(refusal([&] { data::read_picture(folder / "cut"); }), (folder / "cut") + ": ");
    }
    INFO(format.name << " without its last byte");
    write_file(folder / "cut", first_bytes(format.bytes, format.bytes.size() - 1));
    refusal([&] { data::read_picture(folder / "cut"); });
  }
}

TEST_CASE("any changed byte gives a picture or a refusal, never a crash") {
  const TemporaryFolder folder;
  for (const Format& format : formats(waves(40, 33, 3))) {
    int refused = 0;
    for (std::size_t at = 0; at < format.bytes.size(); at += 3) {
      Bytes bytes = format.bytes;
      bytes[at] ^= static_cast<std::uint8_t>(1 + at % 255);
      write_file(folder / "changed", bytes);
      try {
        const data::GreyImage image = data::read_picture(folder / "changed");
        const bool complete = static_cast<std::int64_t>(image.pixels.size()) == image.width * image.height;
        if (!complete) FAIL(format.name << ": byte " << at);
      } catch (const InputError&) {
        ++refused;
      }
    }
    INFO(format.name);
    CHECK(refused > 0);
  }
}

TEST_CASE("headers that announce more than the file can hold are refused before anything is allocated") {
  const TemporaryFolder folder;
  const auto message = [&](const Bytes& bytes) {
    write_file(folder / "file", bytes);
    return refusal([&] { data::read_picture(folder / "file"); });
  };
  const data::GreyImage image = waves(16, 16, 4);
  SECTION("jpeg") {
    Bytes bytes = encode_jpeg(image);
    const Bytes marker{0xFF, 0xC0};  // SOF0: length, precision, height, width
    const auto at = std::search(bytes.begin(), bytes.end(), marker.begin(), marker.end());
    REQUIRE(at != bytes.end());
    std::fill(at + 5, at + 9, std::uint8_t{0xFF});
    holds(message(bytes), "pixels");
    std::fill(at + 5, at + 9, std::uint8_t{0x20});
    holds(message(bytes), "bytes can hold");
  }
  SECTION("webp") {
    Bytes bytes = encode_webp(image);
    // VP8L: 14 bits width - 1, 14 bits height - 1, after the signature byte.
    std::fill(bytes.begin() + 21, bytes.begin() + 24, std::uint8_t{0xFF});
    bytes[24] = 0x0F;
    holds(message(bytes), "16384 x 16384 pixels");
  }
  SECTION("the limits themselves") {
    holds(refusal([] { data::check_picture_size(0, 5, 100, 8, "p"); }), "p: a picture of 0 x 5");
    holds(refusal([] { data::check_picture_size(65536, 5, 1000000, 8, "p"); }), "65536 x 5");
    holds(refusal([] { data::check_picture_size(65535, 65535, 1000000, 8, "p"); }), "scale it down");
    holds(refusal([] { data::check_picture_size(100, 100, 1249, 8, "p"); }), "1249 bytes can hold");
    data::check_picture_size(100, 100, 1250, 8, "p");
  }
}

TEST_CASE("what is no picture is refused") {
  const TemporaryFolder folder;
  const auto message = [&](const Bytes& bytes) {
    write_file(folder / "file", bytes);
    return refusal([&] { data::read_picture(folder / "file"); });
  };
  holds(message({}), "the file is empty");
  holds(message({'G', 'I', 'F', '8', '9', 'a'}), "neither JPEG, PNG nor WebP");
  holds(message({0xFF, 0xD8, 0xFF, 0xD9}), "damaged JPEG");
  holds(message({'R', 'I', 'F', 'F', 4, 0, 0, 0, 'W', 'E', 'B', 'P'}), "damaged or animated WebP");
  holds(refusal([&] { data::read_picture(folder / "none.png"); }), "no such file");
  holds(refusal([&] { data::read_picture(folder.path()); }), "is a folder");
}

}  // namespace
}  // namespace outerloop::tests
