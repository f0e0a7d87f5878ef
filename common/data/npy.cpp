#include "common/data/npy.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <string>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/data/source_files.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

constexpr char kMagic[] = "\x93NUMPY";
constexpr std::size_t kMagicBytes = 6;
constexpr std::uint64_t kMostHead = std::uint64_t{1} << 17;
constexpr std::size_t kMostPrinted = 40;                // bytes of the type in an error
constexpr std::int64_t kBlock = std::int64_t{1} << 20;  // elements

/// Parser of the header, a Python literal such as
/// {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 784), }
class HeaderReader {
 public:
  HeaderReader(std::string text, std::string name) : text_(std::move(text)), name_(std::move(name)) {}

  struct Header {
    std::string descr;
    std::vector<std::int64_t> shape;
    bool column_major = false;
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
    at_ += 4;
    header_.column_major = true;
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

constexpr bool kLittleEndian = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

/// Splits NumPy's type string, e.g. "<f4", into byte order, kind and size.
struct ElementType {
  bool swapped = false;
  char kind = 'f';
  std::size_t size = 0;
};

ElementType element_type(const std::string& descr, const std::string& name) {
  const std::string type = descr.size() > 1 ? descr.substr(1) : "";
  for (const char* known : {"u1", "i1", "b1", "u2", "u4", "u8", "i2", "i4", "i8", "f2", "f4", "f8", "f16"}) {
    if (type != known || std::strchr("<>|=", descr[0]) == nullptr) continue;
    const ElementType element{descr[0] == (kLittleEndian ? '>' : '<'), type[0],
                              static_cast<std::size_t>(std::stoi(type.substr(1)))};
    if (element.size <= 8 || (element.size == sizeof(long double) && !element.swapped)) return element;
  }
  throw InputError(name + ": elements of NumPy type '" + base::printable(descr, kMostPrinted) +
                   "'; integers and floats are read (u1, i4, f2, f8 and such): convert the array");
}

template <class Number>
void append_as(const std::uint8_t* bytes, std::int64_t count, std::vector<double>& numbers) {
  for (std::int64_t i = 0; i < count; ++i) {
    Number number{};
    std::memcpy(&number, bytes + static_cast<std::size_t>(i) * sizeof number, sizeof number);
    numbers.push_back(static_cast<double>(number));
  }
}

/// IEEE 754's binary16.
double half(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double value = 0.0;
  if (exponent == 31)
    value = fraction == 0 ? HUGE_VAL : std::nan("");
  else
    value = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return (bits & 0x8000) != 0 ? -value : value;
}

void append_halves(const std::uint8_t* bytes, std::int64_t count, std::vector<double>& numbers) {
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, bytes + 2 * i, sizeof bits);
    numbers.push_back(half(bits));
  }
}

std::uint64_t size_of(const fs::path& path) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);
  if (error) throw InputError(path.string() + ": " + error.message() + ": check the file");
  if (size == 0) throw InputError(path.string() + ": the file is empty: fetch it again");
  return size;
}

/// Bytes read from the beginning of the file: more than the usual length of a header.
std::vector<std::uint8_t> first_bytes(std::ifstream& file, std::uint64_t size, const std::string& name) {
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(std::min<std::uint64_t>(size, kMostHead)));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!file) throw InputError(name + ": cannot be read: check its permissions");
  return bytes;
}

/// Offset and length of the header's text.
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

NpyFile::NpyFile(const fs::path& path) : name_(path.string()), file_(require_file(path), std::ios::binary) {
  const std::uint64_t size = size_of(path);
  const std::vector<std::uint8_t> bytes = first_bytes(file_, size, name_);
  const auto [begin, length] = header_extent(bytes, name_);
  const auto text = std::string(reinterpret_cast<const char*>(bytes.data()) + begin, length);
  const HeaderReader::Header header = HeaderReader(text, name_).read();
  const ElementType type = element_type(header.descr, name_);
  swapped_ = type.swapped;
  kind_ = type.kind;
  size_ = type.size;
  shape_ = header.shape;
  column_major_ = header.column_major && shape_.size() > 1;
  begin_ = begin + length;
  const std::int64_t elements = count_elements(shape_, name_);
  row_ = elements / shape_.front();
  const std::uint64_t wanted = static_cast<std::uint64_t>(elements) * size_;
  if (size - begin_ != wanted)
    throw InputError(name_ + ": the NPY header announces " + std::to_string(wanted) +
                     " bytes, the file holds " + std::to_string(size - begin_) + ": fetch the file again");
}

void NpyFile::read_at(std::int64_t element, std::int64_t count) {
  raw_.resize(static_cast<std::size_t>(count) * size_);
  file_.seekg(static_cast<std::streamoff>(begin_ + static_cast<std::uint64_t>(element) * size_));
  file_.read(reinterpret_cast<char*>(raw_.data()), static_cast<std::streamsize>(raw_.size()));
  if (!file_) throw InputError(name_ + ": cannot be read: check the file");
  if (!swapped_) return;
  for (std::size_t i = 0; i < raw_.size(); i += size_)
    std::reverse(raw_.begin() + static_cast<std::ptrdiff_t>(i),
                 raw_.begin() + static_cast<std::ptrdiff_t>(i + size_));
}

void NpyFile::append(std::int64_t count, std::vector<double>& numbers) const {
  const std::uint8_t* bytes = raw_.data();
  if (kind_ == 'f')
    return size_ == 2   ? append_halves(bytes, count, numbers)
           : size_ == 4 ? append_as<float>(bytes, count, numbers)
           : size_ == 8 ? append_as<double>(bytes, count, numbers)
                        : append_as<long double>(bytes, count, numbers);
  if (kind_ == 'i')
    return size_ == 1   ? append_as<std::int8_t>(bytes, count, numbers)
           : size_ == 2 ? append_as<std::int16_t>(bytes, count, numbers)
           : size_ == 4 ? append_as<std::int32_t>(bytes, count, numbers)
                        : append_as<std::int64_t>(bytes, count, numbers);
  return size_ == 1   ? append_as<std::uint8_t>(bytes, count, numbers)
         : size_ == 2 ? append_as<std::uint16_t>(bytes, count, numbers)
         : size_ == 4 ? append_as<std::uint32_t>(bytes, count, numbers)
                      : append_as<std::uint64_t>(bytes, count, numbers);
}

void NpyFile::append_rows(std::int64_t first, std::int64_t count, std::vector<double>& numbers) {
  if (!column_major_) {
    read_at(first * row_, count * row_);
    return append(count * row_, numbers);
  }
  // In the file (column-major) the first axis changes fastest, then the second, and so on.
  const std::size_t begin = numbers.size();
  numbers.resize(begin + static_cast<std::size_t>(count * row_));
  std::vector<double> column;
  for (std::int64_t j = 0; j < row_; ++j) {  // in row-major order
    std::int64_t rest = j, place = 0;
    for (std::size_t axis = shape_.size(); axis-- > 1;) {
      std::int64_t stride = 1;
      for (std::size_t lower = 1; lower < axis; ++lower) stride *= shape_[lower];
      place += rest % shape_[axis] * stride;
      rest /= shape_[axis];
    }
    read_at(place * shape_.front() + first, count);
    column.clear();
    append(count, column);
    for (std::int64_t i = 0; i < count; ++i)
      numbers[begin + static_cast<std::size_t>(i * row_ + j)] = column[static_cast<std::size_t>(i)];
  }
}

Array read_npy(const fs::path& path) {
  NpyFile file(path);
  Array array;
  array.shape = file.shape();
  std::vector<double> numbers;
  if (!file.bytes()) {
    file.append_rows(0, array.shape.front(), array.numbers);
    return array;
  }
  // Reads bytes block by block: as doubles they take eight times the memory.
  const std::int64_t row = count_elements(array.shape, path.string()) / array.shape.front();
  const std::int64_t block = std::max<std::int64_t>(1, kBlock / row);
  for (std::int64_t first = 0; first < array.shape.front(); first += block) {
    numbers.clear();
    file.append_rows(first, std::min(block, array.shape.front() - first), numbers);
    for (const double number : numbers) array.bytes.push_back(static_cast<std::uint8_t>(number));
  }
  return array;
}

std::string npy_head(std::int64_t rows, std::int64_t columns) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", " +
                       std::to_string(columns) + "), }";
  constexpr std::size_t kBefore = kMagicBytes + 4, kBytes = 128;
  header.resize(kBytes - kBefore - 1, ' ');
  header += '\n';
  std::string bytes(kMagic, kMagicBytes);
  bytes += {1, 0, static_cast<char>(header.size() & 255), static_cast<char>(header.size() >> 8)};
  return bytes + header;
}

std::string npy_of(const rule::Matrix& matrix) {
  std::string bytes = npy_head(matrix.rows, matrix.columns);
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
