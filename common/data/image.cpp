#include "common/data/image.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/error.h"
#include "common/data/source_files.h"

namespace outerloop::data {
namespace {

constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 28;

bool begins_with(const std::vector<std::uint8_t>& bytes, const char* magic, std::size_t length,
                 std::size_t offset = 0) {
  return bytes.size() >= offset + length && std::memcmp(bytes.data() + offset, magic, length) == 0;
}

}  // namespace

const char* const kPictureFormats = ".jpg, .jpeg, .png and .webp";

const std::vector<std::string>& picture_extensions() {
  static const std::vector<std::string> extensions{".jpg", ".jpeg", ".png", ".webp"};
  return extensions;
}

std::string picture_recipe() {
  return jpeg_version() + ", " + png_version() + ", " + webp_version() + ", on white, 16 bits as sRGB";
}

GreyImage read_picture(const std::filesystem::path& path) {
  const std::vector<std::uint8_t> bytes = read_file(path, kMaxFileBytes);
  const std::string name = path.string();
  if (begins_with(bytes, "\xFF\xD8\xFF", 3)) return decode_jpeg(bytes, name);
  if (begins_with(bytes, "\x89PNG\r\n\x1A\n", 8)) return decode_png(bytes, name);
  if (begins_with(bytes, "RIFF", 4) && begins_with(bytes, "WEBP", 4, 8)) return decode_webp(bytes, name);
  throw InputError(name + ": neither JPEG, PNG nor WebP: convert the picture or take it away");
}

void check_picture_size(std::int64_t width, std::int64_t height, std::size_t bytes,
                        std::int64_t pixels_per_byte, const std::string& name) {
  const std::string size = std::to_string(width) + " x " + std::to_string(height);
  if (width < 1 || height < 1 || width > 65535 || height > 65535 || width * height > kMaxPicturePixels)
    throw InputError(name + ": a picture of " + size + " pixels, up to " + std::to_string(kMaxPicturePixels) +
                     " in all are read: scale it down");
  if (width * height > static_cast<std::int64_t>(bytes) * pixels_per_byte)
    throw InputError(name + ": announces " + size + " pixels, more than its " + std::to_string(bytes) +
                     " bytes can hold: fetch the file again");
}

void luminance(const std::uint8_t* rgb, std::size_t count, std::uint8_t* grey) {
  // The weights in 1/65536; they add up to 65536, so that white stays white.
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t sum = 19595u * rgb[3 * i] + 38470u * rgb[3 * i + 1] + 7471u * rgb[3 * i + 2];
    grey[i] = static_cast<std::uint8_t>((sum + 32768u) >> 16);
  }
}

void grey_on_white(std::vector<std::uint8_t> rgba, GreyImage& image) {
  const std::size_t count = rgba.size() / 4;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t alpha = rgba[4 * i + 3];
    image.transparent = image.transparent || alpha < 255;
    for (std::size_t channel = 0; channel < 3; ++channel)
      rgba[3 * i + channel] =
          static_cast<std::uint8_t>((rgba[4 * i + channel] * alpha + 255u * (255u - alpha) + 127u) / 255u);
  }
  luminance(rgba.data(), count, rgba.data());
  rgba.resize(count);
  rgba.shrink_to_fit();
  image.pixels = std::move(rgba);
}

}  // namespace outerloop::data
