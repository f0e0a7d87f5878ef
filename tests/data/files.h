#pragma once
// Writers of small test files in real formats, using the formats' own libraries.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "common/data/image.h"
#include "tests/temporary_folder.h"

namespace outerloop::tests {

using Bytes = std::vector<std::uint8_t>;

void write_file(const std::filesystem::path& path, const Bytes& bytes);
Bytes first_bytes(const Bytes& bytes, std::size_t count);

/// An IDX file of unsigned bytes.
Bytes idx_bytes(const std::vector<std::uint32_t>& shape, const Bytes& elements);
Bytes gzip(const Bytes& bytes);

/// An NPY file, version 1, with elements of type `descr`.
Bytes npy_bytes(const std::string& descr, const std::string& shape, const Bytes& elements);

/// The bytes of numbers in memory.
template <class Number>
Bytes raw_bytes(const std::vector<Number>& numbers) {
  const auto* begin = reinterpret_cast<const std::uint8_t*>(numbers.data());
  return Bytes(begin, begin + numbers.size() * sizeof(Number));
}

/// `count` CIFAR-10 records with labels 0, 1, .. 9, 0, ..; every red is 3i, every green 5i, every blue 7i.
Bytes cifar_bytes(std::size_t count);

Bytes text_bytes(const std::string& text);

/// A grey picture of smooth random waves, different for every seed.
data::GreyImage waves(std::int64_t width, std::int64_t height, std::uint64_t seed);

Bytes encode_jpeg(const data::GreyImage& image, bool progressive = false);
Bytes encode_png(const data::GreyImage& image);
Bytes encode_webp(const data::GreyImage& image, bool lossless = true);

/// A PNG of any depth and colour type: `rows` packed as in the format, preceded by chunks.
struct PngChunk {
  std::string type;
  Bytes data;
};
Bytes raw_png(std::uint32_t side, std::uint8_t depth, std::uint8_t color, const Bytes& row,
              const std::vector<PngChunk>& chunks = {});

/// A lossless WebP of one colour: red, green, blue, alpha.
Bytes flat_webp(std::int64_t side, const Bytes& rgba);

/// 0, 1, 2, ... 250, then again from 0.
Bytes counting(std::size_t count);

/// The message of the InputError that `action` must throw; it must be one line. If nothing is thrown, the
/// test fails and the result is empty; other exceptions pass through.
std::string refusal(const std::function<void()>& action);

/// True if `text` contains `part`.
bool holds(const std::string& text, const std::string& part);

}  // namespace outerloop::tests
