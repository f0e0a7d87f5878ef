#include "common/data/npy.h"

#include <charconv>
#include <cstring>
#include <string>

#include "common/base/error.h"
#include "common/data/source_files.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

constexpr char kMagic[] = "\x93NUMPY";
constexpr std::size_t kMagicBytes = 6;
constexpr std::uint64_t kMostBytes = std::uint64_t{8} * kMostElements + 65536;

/// Walks through the header, a Python literal such as
/// {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 784), }
class HeaderReader {
 public:
  HeaderReader(std::string text, std::string name) : text_(std::move(text)), name_(std::move(name)) {}

  struct Header {
    std::string descr;
    std::vector<std::int64_t> shape;
  };

  Header read() {
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr" && header_.descr.empty())
        header_.descr = quoted();
      else if (key == "fortran_order" && !has_order_)
        order();
      else if (key == "shape" && header_.shape.empty())
        shape();
      else
        fail();
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (at_ != text_.size() || header_.descr.empty() || header_.shape.empty() || !has_order_) fail();
    return std::move(header_);
  }

 private:
  [[noreturn]] void fail() const {
    throw InputError(name_ + ": the NPY header cannot be read: save the array with numpy.save");
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }

  bool accept(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void expect(char c) {
    if (!accept(c)) fail();
  }

  std::string quoted() {
    skip_space();
    if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) fail();
    const std::size_t end = text_.find(text_[at_], at_ + 1);
    if (end == std::string::npos) fail();
    const std::string value = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return value;
  }

  void order() {
    skip_space();
    has_order_ = true;
    if (text_.compare(at_, 5, "False") == 0) {
      at_ += 5;
      return;
    }
    if (text_.compare(at_, 4, "True") != 0) fail();
    throw InputError(name_ + ": the array is column-major: save numpy.ascontiguousarray of it");
  }

  void shape() {
    expect('(');
    while (!accept(')')) {
      skip_space();
      std::int64_t extent = 0;
      const char* begin = text_.data() + at_;
      const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), extent);
      if (error != std::errc()) fail();
      at_ += static_cast<std::size_t>(end - begin);
      header_.shape.push_back(extent);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    if (header_.shape.empty()) throw InputError(name_ + ": a single number, not an array of examples");
  }

  std::string text_;
  std::string name_;
  std::size_t at_ = 0;
  bool has_order_ = false;
  Header header_;
};

/// Bytes of one element.
std::size_t element_bytes(const std::string& descr, const std::string& name) {
  for (const char* known : {"|u1", "|i1", "|b1", "<u2", "<u4", "<u8", "<i2", "<i4", "<i8", "<f4", "<f8"})
    if (descr == known) return static_cast<std::size_t>(descr[2] - '0');
  throw InputError(
      name + ": elements of NumPy type '" + descr +
      "'; little-endian integers and floats are read (u1, i4, f4, f8 and such): convert the array");
}

template <class Number>
void append(const std::uint8_t* bytes, std::int64_t count, std::vector<double>& numbers) {
  for (std::int64_t i = 0; i < count; ++i) {
    Number number{};
    std::memcpy(&number, bytes + static_cast<std::size_t>(i) * sizeof number, sizeof number);
    numbers.push_back(static_cast<double>(number));
  }
}

void append_numbers(const std::string& type, const std::uint8_t* bytes, std::int64_t count,
                    std::vector<double>& numbers) {
  numbers.reserve(static_cast<std::size_t>(count));
  if (type == "i1") return append<std::int8_t>(bytes, count, numbers);
  if (type == "b1") return append<std::uint8_t>(bytes, count, numbers);
  if (type == "u2") return append<std::uint16_t>(bytes, count, numbers);
  if (type == "u4") return append<std::uint32_t>(bytes, count, numbers);
  if (type == "u8") return append<std::uint64_t>(bytes, count, numbers);
  if (type == "i2") return append<std::int16_t>(bytes, count, numbers);
  if (type == "i4") return append<std::int32_t>(bytes, count, numbers);
  if (type == "i8") return append<std::int64_t>(bytes, count, numbers);
  if (type == "f4") return append<float>(bytes, count, numbers);
  return append<double>(bytes, count, numbers);
}

/// Where the header's text begins and how long it is.
std::pair<std::size_t, std::size_t> header_extent(const std::vector<std::uint8_t>& bytes,
                                                  const std::string& name) {
  if (bytes.size() < kMagicBytes + 4 || std::memcmp(bytes.data(), kMagic, kMagicBytes) != 0)
    throw InputError(name + ": no NPY file: save the array with numpy.save");
  const int version = bytes[kMagicBytes];
  if (version < 1 || version > 3)
    throw InputError(name + ": NPY version " + std::to_string(version) +
                     ", 1 to 3 are read: save the array with numpy.save");
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  const std::size_t begin = kMagicBytes + 2 + length_bytes;
  std::size_t length = 0;
  if (bytes.size() >= begin)
    for (std::size_t i = length_bytes; i-- > 0;) length = length << 8 | bytes[kMagicBytes + 2 + i];
  if (bytes.size() < begin || length > bytes.size() - begin)
    throw InputError(name + ": ends inside the NPY header: fetch the file again");
  return {begin, length};
}

}  // namespace

Array read_npy(const fs::path& path) {
  const std::string name = path.string();
  const std::vector<std::uint8_t> bytes = read_file(path, kMostBytes);
  const auto [begin, length] = header_extent(bytes, name);
  const auto text = std::string(reinterpret_cast<const char*>(bytes.data()) + begin, length);
  const HeaderReader::Header header = HeaderReader(text, name).read();
  const std::size_t size = element_bytes(header.descr, name);
  Array array;
  array.shape = header.shape;
  const std::int64_t elements = count_elements(header.shape, name);
  const std::size_t have = bytes.size() - begin - length;
  const std::size_t wanted = static_cast<std::size_t>(elements) * size;
  if (have != wanted)
    throw InputError(name + ": the NPY header announces " + std::to_string(wanted) +
                     " bytes, the file holds " + std::to_string(have) + ": fetch the file again");
  const std::uint8_t* data = bytes.data() + begin + length;
  if (header.descr == "|u1")
    array.bytes.assign(data, data + wanted);
  else
    append_numbers(header.descr.substr(1), data, elements, array.numbers);
  return array;
}

std::string npy_of(const rule::Matrix& matrix) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(matrix.rows) +
                       ", " + std::to_string(matrix.columns) + "), }";
  constexpr std::size_t kAlignment = 64, kBefore = kMagicBytes + 4;
  header.resize((kBefore + header.size() + 1 + kAlignment - 1) / kAlignment * kAlignment - kBefore - 1, ' ');
  header += '\n';
  std::string bytes(kMagic, kMagicBytes);
  bytes += {1, 0, static_cast<char>(header.size() & 255), static_cast<char>(header.size() >> 8)};
  bytes += header;
  for (const float value : matrix.values) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(bits >> shift & 255);
  }
  return bytes;
}

fs::path npy_labels_path(const fs::path& path) {
  fs::path labels = path;
  return labels.replace_extension(".labels.npy");
}

}  // namespace outerloop::data
