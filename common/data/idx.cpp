#include "common/data/idx.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <memory>

#include "common/base/error.h"
#include "common/data/source_files.h"

namespace outerloop::data {
namespace {

constexpr std::uint8_t kUnsignedByte = 0x08;
constexpr std::size_t kMaxAxes = 4;
constexpr std::int64_t kMaxElements = std::int64_t{1} << 40;
// Deflate never packs more than this into one byte.
constexpr std::int64_t kMaxCompression = 1032;

/// zlib's reader, which also reads uncompressed files.
class ByteStream {
 public:
  explicit ByteStream(const std::filesystem::path& path)
      : name_(path.string()), file_(gzopen(path.c_str(), "rb"), gzclose_r) {
    if (!file_) throw UnreadableFile(name_ + ": cannot be opened: check the path and its permissions");
    gzbuffer(file_.get(), 1 << 17);
  }

  bool compressed() { return gzdirect(file_.get()) == 0; }

  /// Reads up to `count` bytes.
  std::size_t read(std::uint8_t* bytes, std::size_t count) {
    std::size_t done = 0;
    while (done < count) {
      const auto part = static_cast<unsigned>(std::min<std::size_t>(count - done, 1 << 24));
      const int got = gzread(file_.get(), bytes + done, part);
      if (got < 0) fail();
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  /// Throws where data is left over, or where gzip's own checks fail.
  void require_end() {
    std::uint8_t more = 0;
    if (read(&more, 1) != 0)
      throw InputError(name_ + ": more bytes than the header announces: fetch the file again");
    int status = Z_OK;
    gzerror(file_.get(), &status);
    if (status != Z_OK && status != Z_STREAM_END) fail();
  }

 private:
  [[noreturn]] void fail() {
    int status = Z_OK;
    const std::string reason = gzerror(file_.get(), &status);
    if (status == Z_ERRNO) throw UnreadableFile(name_ + ": cannot be read (" + reason + "): check the file");
    throw InputError(name_ + ": damaged gzip data (" + reason + "): fetch the file again");
  }

  std::string name_;
  std::unique_ptr<gzFile_s, int (*)(gzFile)> file_;
};

std::int64_t big_endian(const std::uint8_t* bytes) {
  return std::int64_t{bytes[0]} << 24 | std::int64_t{bytes[1]} << 16 | std::int64_t{bytes[2]} << 8 | bytes[3];
}

std::int64_t product(const std::vector<std::int64_t>& shape) {
  std::int64_t elements = 1;
  for (const std::int64_t extent : shape) elements *= extent;
  return elements;
}

}  // namespace

std::vector<std::int64_t> parse_idx_header(const std::uint8_t* bytes, std::size_t count,
                                           const std::string& name) {
  if (count < 4) throw InputError(name + ": ends inside the IDX header: fetch the file again");
  if (bytes[0] != 0 || bytes[1] != 0)
    throw InputError(name + ": no IDX file (it must begin with two zero bytes): check the path");
  if (bytes[2] != kUnsignedByte)
    throw InputError(name + ": IDX element type " + std::to_string(bytes[2]) +
                     ", only 8 (unsigned bytes) is read: " + "convert the file");
  const std::size_t axes = bytes[3];
  if (axes < 1 || axes > kMaxAxes)
    throw InputError(name + ": IDX with " + std::to_string(axes) + " axes, 1 to 4 are read: check the file");
  if (count < 4 + 4 * axes) throw InputError(name + ": ends inside the IDX header: fetch the file again");
  std::vector<std::int64_t> shape;
  std::int64_t elements = 1;
  for (std::size_t axis = 0; axis < axes; ++axis) {
    const std::int64_t extent = big_endian(bytes + 4 + 4 * axis);
    if (extent == 0) throw InputError(name + ": the IDX header announces no examples: fetch the file again");
    if (extent > kMaxElements / elements)
      throw InputError(
          name + ": the IDX header announces more than 2^40 elements: the file is damaged, fetch it again");
    elements *= extent;
    shape.push_back(extent);
  }
  return shape;
}

Idx read_idx(const std::filesystem::path& path) {
  std::error_code error;
  require_file(path);
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(path, error));
  if (error) throw InputError(path.string() + ": " + error.message() + ": check the file");
  if (size == 0) throw InputError(path.string() + ": the file is empty: fetch it again");

  ByteStream stream(path);
  std::array<std::uint8_t, 4 + 4 * kMaxAxes> header;
  std::size_t have = stream.read(header.data(), 4);
  if (have == 4) have += stream.read(header.data() + 4, 4 * std::min<std::size_t>(header[3], kMaxAxes));
  Idx idx;
  idx.shape = parse_idx_header(header.data(), have, path.string());

  const std::int64_t elements = product(idx.shape);
  const std::int64_t can_hold =
      stream.compressed() ? size * kMaxCompression : size - static_cast<std::int64_t>(have);
  if (elements > can_hold)
    throw InputError(path.string() + ": the IDX header announces " + std::to_string(elements) +
                     " bytes, the file cannot hold more than " + std::to_string(can_hold) +
                     ": fetch it again");
  idx.elements.resize(static_cast<std::size_t>(elements));
  if (stream.read(idx.elements.data(), idx.elements.size()) != idx.elements.size())
    throw InputError(path.string() + ": ends before the " + std::to_string(elements) +
                     " bytes that its header announces: fetch it again");
  stream.require_end();
  return idx;
}

}  // namespace outerloop::data
