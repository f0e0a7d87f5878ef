#pragma once
// Decoders of JPEG, PNG and WebP files into grey images; each format has its own .cpp file.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/data/resize.h"

namespace outerloop::data {

/// Luminance, Y' = 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), of the stored sRGB values. Transparent pixels
/// are blended with white.
struct GreyImage {
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::vector<std::uint8_t> pixels;  ///< [height, width]
  bool transparent = false;          ///< some pixel was partly or fully transparent

  GreyView view() const { return {pixels.data(), width, height, width}; }
};

/// Largest number of pixels; a larger picture is rejected before anything is allocated.
constexpr std::int64_t kMaxPicturePixels = std::int64_t{1} << 27;

/// File extensions that read_picture supports, in lower case with the dot; and as text for messages.
const std::vector<std::string>& picture_extensions();
extern const char* const kPictureFormats;

/// Detects the format from the first bytes, not from the extension. Throws InputError that names the file
/// where its format is unknown, or it is damaged, truncated or too large; UnreadableFile (source_files.h)
/// where it cannot be read.
GreyImage read_picture(const std::filesystem::path& path);

/// The decoders of each format; `name` begins their messages.
GreyImage decode_jpeg(const std::vector<std::uint8_t>& bytes, const std::string& name);
GreyImage decode_png(const std::vector<std::uint8_t>& bytes, const std::string& name);
GreyImage decode_webp(const std::vector<std::uint8_t>& bytes, const std::string& name);

/// Name and version of each decoder's library.
std::string jpeg_version();
std::string png_version();
std::string webp_version();

/// Everything other than a picture's file that affects its pixels, for the cache's key.
std::string picture_recipe();

/// Throws InputError unless a picture of that size may be decoded: both sides in 1 .. 65535, at most
/// kMaxPicturePixels pixels, and at most `bytes` · `pixels_per_byte`, the densest that the format can be.
void check_picture_size(std::int64_t width, std::int64_t height, std::size_t bytes,
                        std::int64_t pixels_per_byte, const std::string& name);

/// Luminance of `count` pixels of three bytes, red first, rounded to the nearest. `grey` may be `rgb`.
void luminance(const std::uint8_t* rgb, std::size_t count, std::uint8_t* grey);

/// Sets pixels and `transparent` from `rgba` [height, width, 4], whose colours are not multiplied by alpha.
/// Blends sRGB values without linearising them, as browsers do.
void grey_on_white(std::vector<std::uint8_t> rgba, GreyImage& image);

}  // namespace outerloop::data
