#pragma once
// The content of an HDF5 file as plain values: datasets by path, and attributes. hdf5.h converts it to the
// bytes of a file and back; rule_file.cpp and checkpoint.cpp define the meaning of the paths.
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace outerloop::store {

/// Element types of a dataset; all little-endian. `text`: one fixed-length UTF-8 string, padded with NUL.
enum class ElementType { float32, float64, int64, uint64, text, uint8 };

using Attribute = std::variant<std::int64_t, double, std::string>;
using Attributes = std::map<std::string, Attribute>;

struct Dataset {
  ElementType type = ElementType::float64;
  std::vector<std::int64_t> shape;  ///< row-major; empty: a scalar
  std::vector<std::uint8_t> bytes;  ///< as in the file
  Attributes attributes;

  static Dataset float32(const std::vector<double>& values, std::int64_t first,
                         std::vector<std::int64_t> shape);
  static Dataset float64(const std::vector<double>& values, std::int64_t first,
                         std::vector<std::int64_t> shape);
  static Dataset integers(const std::vector<std::int64_t>& values);
  static Dataset integer(std::int64_t value);
  static Dataset unsigned_integer(std::uint64_t value);
  /// [bytes] of uint8.
  static Dataset binary(const std::string& bytes);
  /// Throws Error for a NUL inside, which a fixed-length string cannot hold.
  static Dataset text(const std::string& value);

  /// The same with the attribute `axes`: the names of the axes, separated by commas.
  Dataset with_axes(const std::string& names) &&;
};

/// Datasets by absolute path, e.g. "/theta/top.in.w", in byte order of the path; attributes of the root
/// group.
struct Document {
  Attributes attributes;
  std::map<std::string, Dataset> datasets;

  /// SHA-256 (hex) over every dataset in byte order of path: path, NUL, raw bytes.
  std::string checksum() const;
};

/// `name` as one link of a path: '/', '%' and NUL become %2F, %25 and %00, and "." becomes %2E. All other
/// names are unchanged. Throws Error for an empty one.
std::string link_name(const std::string& name);
std::string name_of_link(const std::string& link);

/// Reads a document's values. All functions throw InputError that names the file, the path and the problem.
class DocumentReader {
 public:
  DocumentReader(const Document& document, std::string file) : document_(document), file_(std::move(file)) {}

  bool contains(const std::string& path) const { return document_.datasets.count(path) > 0; }
  const Dataset& dataset(const std::string& path) const;

  /// float32 or float64 values of any shape.
  std::vector<double> numbers(const std::string& path) const;
  std::vector<std::int64_t> integers(const std::string& path) const;
  std::int64_t integer(const std::string& path) const;
  std::uint64_t unsigned_integer(const std::string& path) const;
  std::string text(const std::string& path) const;
  std::string binary(const std::string& path) const;

  /// Names of the links directly in `group` (a path that ends in "/"), datasets and groups, in byte order.
  std::vector<std::string> links(const std::string& group) const;

  const std::string& text_attribute(const Attributes& attributes, const std::string& owner,
                                    const std::string& name) const;
  std::int64_t integer_attribute(const Attributes& attributes, const std::string& owner,
                                 const std::string& name) const;
  double real_attribute(const Attributes& attributes, const std::string& owner,
                        const std::string& name) const;

  const Attributes& root() const { return document_.attributes; }
  const std::string& file() const { return file_; }
  [[noreturn]] void refuse(const std::string& what) const;

 private:
  const Dataset& typed(const std::string& path, ElementType type, bool scalar) const;

  const Document& document_;
  std::string file_;
};

}  // namespace outerloop::store
