#include "common/store/document.h"

#include <cstring>
#include <utility>

#include "common/base/error.h"
#include "common/base/sha256.h"
#include "common/base/text.h"

namespace outerloop::store {
namespace {

// The bytes in the file equal the bytes in memory.
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "our files are little-endian, as is every host we build for");

template <class Value>
std::vector<std::uint8_t> bytes_of(const Value* values, std::size_t count) {
  std::vector<std::uint8_t> bytes(count * sizeof(Value));
  if (count > 0) std::memcpy(bytes.data(), values, bytes.size());
  return bytes;
}

template <class Value>
std::vector<Value> values_of(const std::vector<std::uint8_t>& bytes) {
  std::vector<Value> values(bytes.size() / sizeof(Value));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(Value));
  return values;
}

std::size_t elements(const std::vector<std::int64_t>& shape) {
  std::size_t count = 1;
  for (const auto extent : shape) count *= static_cast<std::size_t>(extent);
  return count;
}

/// The part of `values` that starts at `first` and has the size of `shape`.
template <class Value>
std::vector<std::uint8_t> part(const std::vector<double>& values, std::int64_t first,
                               const std::vector<std::int64_t>& shape) {
  const auto begin = static_cast<std::size_t>(first);
  const std::size_t count = elements(shape);
  OUTERLOOP_CHECK(begin <= values.size() && count <= values.size() - begin,
                  "a tensor reaches beyond its vector");
  const std::vector<Value> converted(values.begin() + first,
                                     values.begin() + first + static_cast<std::ptrdiff_t>(count));
  return bytes_of(converted.data(), converted.size());
}

int hexadecimal(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

}  // namespace

Dataset Dataset::float32(const std::vector<double>& values, std::int64_t first,
                         std::vector<std::int64_t> shape) {
  auto bytes = part<float>(values, first, shape);
  return {ElementType::float32, std::move(shape), std::move(bytes), {}};
}

Dataset Dataset::float64(const std::vector<double>& values, std::int64_t first,
                         std::vector<std::int64_t> shape) {
  auto bytes = part<double>(values, first, shape);
  return {ElementType::float64, std::move(shape), std::move(bytes), {}};
}

Dataset Dataset::integers(const std::vector<std::int64_t>& values) {
  return {ElementType::int64,
          {static_cast<std::int64_t>(values.size())},
          bytes_of(values.data(), values.size()),
          {}};
}

Dataset Dataset::integer(std::int64_t value) { return {ElementType::int64, {}, bytes_of(&value, 1), {}}; }
Dataset Dataset::unsigned_integer(std::uint64_t value) {
  return {ElementType::uint64, {}, bytes_of(&value, 1), {}};
}

Dataset Dataset::binary(const std::string& bytes) {
  return {ElementType::uint8, {static_cast<std::int64_t>(bytes.size())}, {bytes.begin(), bytes.end()}, {}};
}

Dataset Dataset::text(const std::string& value) {
  if (value.find('\0') != std::string::npos)
    throw Error("a text with a NUL inside cannot be stored: " + value);
  std::vector<std::uint8_t> bytes(value.begin(), value.end());
  if (bytes.empty()) bytes.push_back(0);  // HDF5 has no strings of length 0
  return {ElementType::text, {}, std::move(bytes), {}};
}

Dataset Dataset::with_axes(const std::string& names) && {
  attributes["axes"] = names;
  return std::move(*this);
}

std::string Document::checksum() const {
  base::Sha256 hash;
  for (const auto& [path, dataset] : datasets) {
    hash.update(path.c_str(), path.size() + 1);
    hash.update(dataset.bytes.data(), dataset.bytes.size());
  }
  return base::hex(hash.finish());
}

std::string link_name(const std::string& name) {
  if (name.empty()) throw Error("a tensor, column or counter without a name cannot be stored");
  if (name == ".") return "%2E";
  std::string link;
  for (const char c : name) {
    if (c == '/')
      link += "%2F";
    else if (c == '%')
      link += "%25";
    else if (c == '\0')
      link += "%00";
    else
      link += c;
  }
  return link;
}

std::string name_of_link(const std::string& link) {
  std::string name;
  for (std::size_t i = 0; i < link.size(); ++i) {
    const int high = link[i] == '%' && i + 2 < link.size() ? hexadecimal(link[i + 1]) : -1;
    const int low = high >= 0 ? hexadecimal(link[i + 2]) : -1;
    if (low < 0) {
      name += link[i];
      continue;
    }
    name += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return name;
}

void DocumentReader::refuse(const std::string& what) const {
  throw InputError(file_ + ": " + base::printable(what));
}

const Dataset& DocumentReader::dataset(const std::string& path) const {
  const auto found = document_.datasets.find(path);
  if (found == document_.datasets.end()) refuse(path + " is missing");
  return found->second;
}

const Dataset& DocumentReader::typed(const std::string& path, ElementType type, bool scalar) const {
  const Dataset& found = dataset(path);
  if (found.type != type) refuse(path + " has another element type than format version 1 gives it");
  if (scalar && !found.shape.empty()) refuse(path + " is no scalar");
  if (!scalar && found.shape.size() != 1)
    refuse(path + " has " + std::to_string(found.shape.size()) + " axes, not 1");
  return found;
}

std::vector<double> DocumentReader::numbers(const std::string& path) const {
  const Dataset& found = dataset(path);
  if (found.type == ElementType::float64) return values_of<double>(found.bytes);
  if (found.type != ElementType::float32) refuse(path + " holds no floating-point numbers");
  const auto floats = values_of<float>(found.bytes);
  return {floats.begin(), floats.end()};
}

std::vector<std::int64_t> DocumentReader::integers(const std::string& path) const {
  return values_of<std::int64_t>(typed(path, ElementType::int64, false).bytes);
}

std::int64_t DocumentReader::integer(const std::string& path) const {
  return values_of<std::int64_t>(typed(path, ElementType::int64, true).bytes).at(0);
}

std::uint64_t DocumentReader::unsigned_integer(const std::string& path) const {
  return values_of<std::uint64_t>(typed(path, ElementType::uint64, true).bytes).at(0);
}

std::string DocumentReader::text(const std::string& path) const {
  const auto& bytes = typed(path, ElementType::text, true).bytes;
  const std::string padded(bytes.begin(), bytes.end());
  return padded.substr(0, padded.find_last_not_of('\0') + 1);
}

std::string DocumentReader::binary(const std::string& path) const {
  const auto& bytes = typed(path, ElementType::uint8, false).bytes;
  return {bytes.begin(), bytes.end()};
}

std::vector<std::string> DocumentReader::links(const std::string& group) const {
  std::vector<std::string> names;
  const auto& all = document_.datasets;
  for (auto entry = all.lower_bound(group); entry != all.end(); ++entry) {
    const std::string& path = entry->first;
    if (path.compare(0, group.size(), group) != 0) break;
    const std::string name = path.substr(group.size(), path.find('/', group.size()) - group.size());
    // "a/x" need not follow "a" ("a.b" sorts between them), but entries of one group are adjacent.
    if (names.empty() || names.back() != name) names.push_back(name);
  }
  return names;
}

const std::string& DocumentReader::text_attribute(const Attributes& attributes, const std::string& owner,
                                                  const std::string& name) const {
  const auto found = attributes.find(name);
  const auto* value = found == attributes.end() ? nullptr : std::get_if<std::string>(&found->second);
  if (value == nullptr) refuse("attribute " + name + " of " + owner + " is missing or no text");
  return *value;
}

std::int64_t DocumentReader::integer_attribute(const Attributes& attributes, const std::string& owner,
                                               const std::string& name) const {
  const auto found = attributes.find(name);
  const auto* value = found == attributes.end() ? nullptr : std::get_if<std::int64_t>(&found->second);
  if (value == nullptr) refuse("attribute " + name + " of " + owner + " is missing or no integer");
  return *value;
}

double DocumentReader::real_attribute(const Attributes& attributes, const std::string& owner,
                                      const std::string& name) const {
  const auto found = attributes.find(name);
  const auto* value = found == attributes.end() ? nullptr : std::get_if<double>(&found->second);
  if (value == nullptr) refuse("attribute " + name + " of " + owner + " is missing or no real number");
  return *value;
}

}  // namespace outerloop::store
