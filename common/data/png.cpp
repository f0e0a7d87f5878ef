// PNG decoder using libpng's simplified API.
#include <png.h>

#include <cstring>
#include <utility>

#include "common/base/error.h"
#include "common/data/image.h"

namespace outerloop::data {
namespace {

// Deflate packs at most 1032 bytes into one, and a byte holds at most eight pixels.
constexpr std::int64_t kPixelsPerByte = 1032 * 8;

/// True if the chunks are complete up to IEND: libpng itself does not notice a truncated end.
bool has_end(const std::vector<std::uint8_t>& bytes) {
  std::size_t at = 8;
  while (at + 12 <= bytes.size()) {
    const std::uint8_t* chunk = bytes.data() + at;
    const std::size_t length =
        std::size_t{chunk[0]} << 24 | std::size_t{chunk[1]} << 16 | std::size_t{chunk[2]} << 8 | chunk[3];
    if (length > bytes.size() - at - 12) return false;
    if (std::memcmp(chunk + 4, "IEND", 4) == 0) return true;
    at += 12 + length;
  }
  return false;
}

}  // namespace

std::string png_version() { return "libpng " + std::to_string(png_access_version_number()); }

GreyImage decode_png(const std::vector<std::uint8_t>& bytes, const std::string& name) {
  if (!has_end(bytes)) throw InputError(name + ": PNG that ends early: fetch the file again");
  png_image png;
  std::memset(&png, 0, sizeof png);
  png.version = PNG_IMAGE_VERSION;
  struct Cleanup {
    png_image* png;
    ~Cleanup() { png_image_free(png); }
  } cleanup{&png};
  const auto fail = [&]() -> GreyImage {
    throw InputError(name + ": damaged PNG (" + png.message + "): fetch the file again");
  };
  if (png_image_begin_read_from_memory(&png, bytes.data(), bytes.size()) == 0) return fail();
  check_picture_size(png.width, png.height, bytes.size(), kPixelsPerByte, name);
  // libpng assumes that 16-bit files are linear unless they say otherwise; hardly any program writes such
  // files.
  png.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  png.format = PNG_FORMAT_RGBA;
  GreyImage image;
  image.width = png.width;
  image.height = png.height;
  std::vector<std::uint8_t> rgba(static_cast<std::size_t>(4 * image.width * image.height));
  if (png_image_finish_read(&png, nullptr, rgba.data(), 0, nullptr) == 0) return fail();
  grey_on_white(std::move(rgba), image);
  return image;
}

}  // namespace outerloop::data
