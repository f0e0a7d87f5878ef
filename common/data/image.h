#pragma once
// Decoders of JPEG, PNG and WebP files into grey images, each in a file of its own.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/data/resize.h"

namespace outerloop::data {

/// Luminance, Y' = 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), of the sRGB values as they are stored. What is
/// transparent is put on white.
struct GreyImage {
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::vector<std::uint8_t> pixels;  ///< [height, width]
  bool transparent = false;          ///< some pixel was, in part or in whole

  GreyView view() const { return {pixels.data(), width, height, width}; }
};

/// Pixels beyond which a picture is refused before anything is allocated.
constexpr std::int64_t kMaxPicturePixels = std::int64_t{1} << 27;

/// Extensions of what read_picture reads, in lower case with their dot; and as a reader is told them.
const std::vector<std::string>& picture_extensions();
extern const char* const kPictureFormats;

/// Decodes by the bytes at the front, not by the extension. Throws InputError that names the file where it is
/// in no known format, damaged, cut short, or too large; UnreadableFile (source_files.h) where it cannot be
/// read.
GreyImage read_picture(const std::filesystem::path& path);

/// The decoders behind it; `name` begins their messages.
GreyImage decode_jpeg(const std::vector<std::uint8_t>& bytes, const std::string& name);
GreyImage decode_png(const std::vector<std::uint8_t>& bytes, const std::string& name);
GreyImage decode_webp(const std::vector<std::uint8_t>& bytes, const std::string& name);

/// Name and version of the library behind each.
std::string jpeg_version();
std::string png_version();
std::string webp_version();

/// What besides a picture's file decides about its pixels, for the cache's key.
std::string picture_recipe();

/// Throws InputError unless a picture of that size may be decoded: both sides in 1 .. 65535, and no more
/// pixels than kMaxPicturePixels or than `bytes` · `pixels_per_byte`, the most that the format packs into a
/// byte.
void check_picture_size(std::int64_t width, std::int64_t height, std::size_t bytes,
                        std::int64_t pixels_per_byte, const std::string& name);

/// Luminance of `count` pixels of three bytes, red first, rounded to the nearest. `grey` may be `rgb`.
void luminance(const std::uint8_t* rgb, std::size_t count, std::uint8_t* grey);

/// Sets pixels and `transparent` from `rgba` [height, width, 4], whose colours are not multiplied by alpha.
/// Blends sRGB values as they are, as browsers do.
void grey_on_white(std::vector<std::uint8_t> rgba, GreyImage& image);

}  // namespace outerloop::data
