#include "tests/data/files.h"

#include <png.h>
#include <webp/encode.h>
#include <zlib.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>

// Do not sort: jpeglib.h needs cstdio before it.
// clang-format off
#include <cstdio>
#include <jpeglib.h>
// clang-format on

#include "common/base/error.h"
#include "common/rule/random.h"
#include "tests/catch.h"

namespace outerloop::tests {
namespace fs = std::filesystem;

void write_file(const fs::path& path, const Bytes& bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  REQUIRE(file.good());
}

Bytes first_bytes(const Bytes& bytes, std::size_t count) {
  return Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
}

Bytes idx_bytes(const std::vector<std::uint32_t>& shape, const Bytes& elements) {
  Bytes bytes{0, 0, 8, static_cast<std::uint8_t>(shape.size())};
  for (const std::uint32_t extent : shape)
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::uint8_t>(extent >> shift));
  bytes.insert(bytes.end(), elements.begin(), elements.end());
  return bytes;
}

Bytes gzip(const Bytes& bytes) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  Bytes packed(deflateBound(&stream, static_cast<uLong>(bytes.size())) + 64);
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = packed.data();
  stream.avail_out = static_cast<uInt>(packed.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

Bytes npy_bytes(const std::string& descr, const std::string& shape, const Bytes& elements) {
  std::string header = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }";
  header += std::string(63 - (10 + header.size()) % 64, ' ') + "\n";  // aligned as by numpy.save
  Bytes bytes = text_bytes("\x93NUMPY\x01");
  bytes.push_back(0);
  bytes.push_back(static_cast<std::uint8_t>(header.size()));
  bytes.push_back(static_cast<std::uint8_t>(header.size() >> 8));
  bytes.insert(bytes.end(), header.begin(), header.end());
  bytes.insert(bytes.end(), elements.begin(), elements.end());
  return bytes;
}

Bytes cifar_bytes(std::size_t count) {
  Bytes bytes;
  for (std::size_t i = 0; i < count; ++i) {
    bytes.push_back(static_cast<std::uint8_t>(i % 10));
    for (const std::size_t factor : {3, 5, 7})
      bytes.insert(bytes.end(), 1024, static_cast<std::uint8_t>(factor * i));
  }
  return bytes;
}

Bytes text_bytes(const std::string& text) { return Bytes(text.begin(), text.end()); }

data::GreyImage waves(std::int64_t width, std::int64_t height, std::uint64_t seed) {
  const rule::Random random(seed, 0, 0, rule::Purpose::test);
  data::GreyImage image;
  image.width = width;
  image.height = height;
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      double value = 0.0;
      for (std::uint32_t wave = 0; wave < 4; ++wave) {
        const double a = random.uniform(3 * wave, -0.4, 0.4);
        const double b = random.uniform(3 * wave + 1, -0.4, 0.4);
        value += std::sin(a * static_cast<double>(x) + b * static_cast<double>(y) +
                          6.28 * random.uniform(3 * wave + 2));
      }
      image.pixels.push_back(static_cast<std::uint8_t>(std::lround(127.5 + 31.0 * value)));
    }
  }
  return image;
}

Bytes encode_jpeg(const data::GreyImage& image, bool progressive) {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* out = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &out, &size);
  jpeg.image_width = static_cast<JDIMENSION>(image.width);
  jpeg.image_height = static_cast<JDIMENSION>(image.height);
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 95, TRUE);
  if (progressive) jpeg_simple_progression(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  std::vector<JSAMPLE> row(static_cast<std::size_t>(3 * image.width));
  for (std::int64_t y = 0; y < image.height; ++y) {
    for (std::size_t i = 0; i < row.size(); ++i)
      row[i] = image.pixels[static_cast<std::size_t>(y * image.width) + i / 3];
    JSAMPROW rows = row.data();
    jpeg_write_scanlines(&jpeg, &rows, 1);
  }
  jpeg_finish_compress(&jpeg);
  Bytes bytes(out, out + size);
  jpeg_destroy_compress(&jpeg);
  std::free(out);
  return bytes;
}

Bytes encode_png(const data::GreyImage& image) {
  png_image png;
  std::memset(&png, 0, sizeof png);
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = PNG_FORMAT_GRAY;
  png_alloc_size_t size = 0;
  REQUIRE(png_image_write_get_memory_size(png, size, 0, image.pixels.data(), 0, nullptr) != 0);
  Bytes bytes(size);
  REQUIRE(png_image_write_to_memory(&png, bytes.data(), &size, 0, image.pixels.data(), 0, nullptr) != 0);
  bytes.resize(size);
  return bytes;
}

Bytes encode_webp(const data::GreyImage& image, bool lossless) {
  Bytes rgb;
  for (const std::uint8_t pixel : image.pixels) rgb.insert(rgb.end(), 3, pixel);
  const int width = static_cast<int>(image.width);
  const int height = static_cast<int>(image.height);
  std::uint8_t* out = nullptr;
  const std::size_t size = lossless ? WebPEncodeLosslessRGB(rgb.data(), width, height, 3 * width, &out)
                                    : WebPEncodeRGB(rgb.data(), width, height, 3 * width, 95.0f, &out);
  REQUIRE(size > 0);
  Bytes bytes(out, out + size);
  WebPFree(out);
  return bytes;
}

namespace {

void append_big_endian(std::uint32_t number, Bytes& bytes) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::uint8_t>(number >> shift));
}

void append_chunk(const PngChunk& chunk, Bytes& png) {
  append_big_endian(static_cast<std::uint32_t>(chunk.data.size()), png);
  const std::size_t begin = png.size();
  png.insert(png.end(), chunk.type.begin(), chunk.type.end());
  png.insert(png.end(), chunk.data.begin(), chunk.data.end());
  append_big_endian(
      static_cast<std::uint32_t>(crc32(0, png.data() + begin, static_cast<uInt>(png.size() - begin))), png);
}

}  // namespace

Bytes raw_png(std::uint32_t side, std::uint8_t depth, std::uint8_t color, const Bytes& row,
              const std::vector<PngChunk>& chunks) {
  Bytes header, rows;
  append_big_endian(side, header);
  append_big_endian(side, header);
  header.insert(header.end(), {depth, color, 0, 0, 0});
  for (std::uint32_t y = 0; y < side; ++y) {
    rows.push_back(0);  // no filter
    rows.insert(rows.end(), row.begin(), row.end());
  }
  Bytes packed(compressBound(static_cast<uLong>(rows.size())));
  uLongf size = static_cast<uLongf>(packed.size());
  REQUIRE(compress(packed.data(), &size, rows.data(), static_cast<uLong>(rows.size())) == Z_OK);
  packed.resize(size);
  Bytes png = text_bytes("\x89PNG\r\n\x1a\n");
  append_chunk({"IHDR", header}, png);
  for (const PngChunk& chunk : chunks) append_chunk(chunk, png);
  append_chunk({"IDAT", packed}, png);
  append_chunk({"IEND", {}}, png);
  return png;
}

Bytes flat_webp(std::int64_t side, const Bytes& rgba) {
  Bytes pixels;
  for (std::int64_t i = 0; i < side * side; ++i) pixels.insert(pixels.end(), rgba.begin(), rgba.end());
  std::uint8_t* out = nullptr;
  const int width = static_cast<int>(side);
  const std::size_t size = WebPEncodeLosslessRGBA(pixels.data(), width, width, 4 * width, &out);
  REQUIRE(size > 0);
  Bytes bytes(out, out + size);
  WebPFree(out);
  return bytes;
}

Bytes counting(std::size_t count) {
  Bytes bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::uint8_t>(i % 251);
  return bytes;
}

std::string refusal(const std::function<void()>& action) {
  try {
    action();
  } catch (const InputError& error) {
    const std::string message = error.what();
    CHECK(message.find('\n') == std::string::npos);
    CHECK(error.exit_code() == 2);
    return message;
  }
  FAIL("nothing was refused");
  return {};
}

bool holds(const std::string& text, const std::string& part) {
  INFO("\"" << text << "\" should hold \"" << part << "\"");
  const bool found = text.find(part) != std::string::npos;
  CHECK(found);
  return found;
}

}  // namespace outerloop::tests
