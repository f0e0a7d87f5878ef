// WebP decoder using libwebp.
#include <webp/decode.h>

#include <utility>

#include "common/base/error.h"
#include "common/data/image.h"

namespace outerloop::data {
namespace {

// A lossless picture of one colour takes a few bytes whatever its size, so only the number of pixels is
// limited.
constexpr std::int64_t kPixelsPerByte = kMaxPicturePixels;

std::size_t announced_bytes(const std::vector<std::uint8_t>& bytes) {
  const std::size_t riff = std::size_t{bytes[4]} | std::size_t{bytes[5]} << 8 | std::size_t{bytes[6]} << 16 |
                           std::size_t{bytes[7]} << 24;
  return riff + 8;
}

}  // namespace

std::string webp_version() { return "libwebp " + std::to_string(WebPGetDecoderVersion()); }

GreyImage decode_webp(const std::vector<std::uint8_t>& bytes, const std::string& name) {
  const std::string damaged = name + ": damaged or animated WebP: fetch the file again, or convert it";
  if (bytes.size() < 12 || announced_bytes(bytes) > bytes.size())
    throw InputError(name + ": WebP that ends early: fetch the file again");
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(bytes.data(), bytes.size(), &features) != VP8_STATUS_OK || features.has_animation != 0)
    throw InputError(damaged);
  GreyImage image;
  image.width = features.width;
  image.height = features.height;
  check_picture_size(image.width, image.height, bytes.size(), kPixelsPerByte, name);
  std::vector<std::uint8_t> rgba(static_cast<std::size_t>(4 * image.width * image.height));
  if (WebPDecodeRGBAInto(bytes.data(), bytes.size(), rgba.data(), rgba.size(), 4 * features.width) == nullptr)
    throw InputError(damaged);
  grey_on_white(std::move(rgba), image);
  return image;
}

}  // namespace outerloop::data
