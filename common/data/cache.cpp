#include "common/data/cache.h"

#include <cstring>
#include <vector>

#include "common/base/error.h"
#include "common/data/cache_folder.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

constexpr char kMagic[8] = {'O', 'L', 'D', 'A', 'T', 'A', '\r', '\n'};
constexpr std::uint64_t kVersion = 3;
// Offsets of the header's fields; the digest is the last.
constexpr std::size_t kSideAt = 12, kInputsAt = 16, kClassesAt = 24, kNameBytesAt = 32, kExamplesAt = 40,
                      kScoresAt = 48, kRemarkBytesAt = 56, kKeyAt = 64, kDigestAt = 96, kHeaderBytes = 128;
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 34;
constexpr std::uint64_t kMaxSide = 4096;
constexpr std::uint64_t kMaxInputs = kMaxSide * kMaxSide;
constexpr std::uint64_t kRangeBytes = 16;

void put(std::vector<std::uint8_t>& bytes, std::uint64_t value, int count) {
  for (int i = 0; i < count; ++i) bytes.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

void put(std::vector<std::uint8_t>& bytes, const void* data, std::size_t count) {
  const auto* begin = static_cast<const std::uint8_t*>(data);
  bytes.insert(bytes.end(), begin, begin + count);
}

std::uint64_t get(const std::uint8_t* bytes, int count) {
  std::uint64_t value = 0;
  for (int i = count - 1; i >= 0; --i) value = value << 8 | bytes[i];
  return value;
}

base::Digest digest_of(const std::uint8_t* bytes, std::size_t count) {
  base::Sha256 hash;
  hash.update(bytes, count);
  return hash.finish();
}

/// The file's extents, as given in its header.
struct Extents {
  std::uint64_t side, inputs, classes, name_bytes, examples, scores, remark_bytes;

  std::uint64_t numbers() const { return side > 0 ? side * side : inputs; }

  /// True if they fit a payload of exactly that many bytes. No product overflows.
  bool fill(std::uint64_t payload) const {
    if (side > kMaxSide || inputs > kMaxInputs || (side == 0) == (inputs == 0)) return false;
    if (name_bytes > payload || classes > name_bytes || remark_bytes > payload) return false;
    if (scores != 0 && scores != examples) return false;
    const std::uint64_t before = name_bytes + remark_bytes + kRangeBytes * classes;
    if (before > payload) return false;
    const std::uint64_t rest = payload - before;
    return examples <= rest && rest == examples * (4 + numbers()) + 4 * scores;
  }
};

/// Texts, each followed by a NUL.
std::vector<std::string> parse_texts(const std::uint8_t* bytes, std::uint64_t count) {
  std::vector<std::string> result;
  const auto* text = reinterpret_cast<const char*>(bytes);
  const char* const texts_end = text + count;
  while (text != texts_end) {
    const auto* end =
        static_cast<const char*>(std::memchr(text, 0, static_cast<std::size_t>(texts_end - text)));
    if (end == nullptr) throw InputError("a text in it does not end");
    result.emplace_back(text, end);
    text = end + 1;
  }
  return result;
}

/// The bits of a float or a double.
template <class Bits, class Value>
Bits bits_of(Value value) {
  Bits bits = 0;
  static_assert(sizeof bits == sizeof value);
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

float float_of(std::uint64_t bits) {
  const auto narrow = static_cast<std::uint32_t>(bits);
  float value = 0.0f;
  std::memcpy(&value, &narrow, sizeof value);
  return value;
}

double double_of(std::uint64_t bits) {
  double value = 0.0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// The payload's parts, after its size and checksum have been verified.
WorkingSet parse_payload(const std::uint8_t* payload, const Extents& extents) {
  WorkingSet set;
  set.side = static_cast<std::int64_t>(extents.side);
  set.inputs = static_cast<std::int64_t>(extents.inputs);
  set.class_names = parse_texts(payload, extents.name_bytes);
  if (set.class_names.size() != extents.classes)
    throw InputError("its class names are not as many as announced");
  const std::uint8_t* next = payload + extents.name_bytes;
  set.remarks = parse_texts(next, extents.remark_bytes);
  next += extents.remark_bytes;
  for (std::uint64_t i = 0; i < extents.classes; ++i, next += kRangeBytes)
    set.ranges.push_back({double_of(get(next, 8)), double_of(get(next + 8, 8))});
  set.labels.reserve(static_cast<std::size_t>(extents.examples));
  for (std::uint64_t i = 0; i < extents.examples; ++i, next += 4) {
    const std::uint64_t label = get(next, 4);
    if (label >= extents.classes) throw InputError("a label is no class");
    set.labels.push_back(static_cast<std::int32_t>(label));
  }
  for (std::uint64_t i = 0; i < extents.scores; ++i, next += 4) set.scores.push_back(float_of(get(next, 4)));
  set.pixels.assign(next, next + extents.examples * extents.numbers());
  return set;
}

WorkingSet parse(const std::vector<std::uint8_t>& bytes, const base::Digest& key) {
  const std::uint8_t* header = bytes.data();
  if (bytes.size() < kHeaderBytes || std::memcmp(header, kMagic, sizeof kMagic) != 0)
    throw InputError("it is not a data cache");
  if (get(header + 8, 4) != kVersion) throw InputError("it is of another version");
  if (std::memcmp(header + kKeyAt, key.data(), key.size()) != 0) throw InputError("its source has changed");
  const Extents extents{get(header + kSideAt, 4),       get(header + kInputsAt, 8),
                        get(header + kClassesAt, 8),    get(header + kNameBytesAt, 8),
                        get(header + kExamplesAt, 8),   get(header + kScoresAt, 8),
                        get(header + kRemarkBytesAt, 8)};
  const std::uint8_t* payload = header + kHeaderBytes;
  const std::size_t payload_bytes = bytes.size() - kHeaderBytes;
  if (!extents.fill(payload_bytes)) throw InputError("its size is not what its header announces");
  const base::Digest digest = digest_of(payload, payload_bytes);
  if (std::memcmp(header + kDigestAt, digest.data(), digest.size()) != 0)
    throw InputError("its checksum differs");
  return parse_payload(payload, extents);
}

std::vector<std::uint8_t> serialize(const base::Digest& key, const WorkingSet& set) {
  std::vector<std::uint8_t> payload;
  for (const std::string& name : set.class_names) put(payload, name.c_str(), name.size() + 1);
  const std::uint64_t name_bytes = payload.size();
  for (const std::string& remark : set.remarks) put(payload, remark.c_str(), remark.size() + 1);
  const std::uint64_t remark_bytes = payload.size() - name_bytes;
  for (std::size_t label = 0; label < set.class_names.size(); ++label) {
    const ValueRange range = label < set.ranges.size() ? set.ranges[label] : ValueRange{};
    for (const double end : {range.low, range.high}) put(payload, bits_of<std::uint64_t>(end), 8);
  }
  payload.reserve(payload.size() + 4 * (set.labels.size() + set.scores.size()) + set.pixels.size());
  for (const std::int32_t label : set.labels) put(payload, static_cast<std::uint64_t>(label), 4);
  for (const float score : set.scores) put(payload, bits_of<std::uint32_t>(score), 4);
  put(payload, set.pixels.data(), set.pixels.size());
  const base::Digest digest = digest_of(payload.data(), payload.size());

  std::vector<std::uint8_t> bytes;
  bytes.reserve(kHeaderBytes + payload.size());
  put(bytes, kMagic, sizeof kMagic);
  put(bytes, kVersion, 4);
  put(bytes, static_cast<std::uint64_t>(set.side), 4);
  put(bytes, static_cast<std::uint64_t>(set.side > 0 ? 0 : set.inputs), 8);
  put(bytes, set.class_names.size(), 8);
  put(bytes, name_bytes, 8);
  put(bytes, set.labels.size(), 8);
  put(bytes, set.scores.size(), 8);
  put(bytes, remark_bytes, 8);
  put(bytes, key.data(), key.size());
  put(bytes, digest.data(), digest.size());
  put(bytes, payload.data(), payload.size());
  return bytes;
}

/// The set in one file; empty if there is no such file, or no trusted one.
std::optional<WorkingSet> read_from(const CacheFolder& folder, const fs::path& file,
                                    const base::Digest& key) {
  std::vector<std::uint8_t> bytes;
  try {
    bytes = folder.read(file, kMaxFileBytes);
  } catch (const InputError&) {
    throw InputError("it cannot be read or is empty");
  }
  if (bytes.empty()) return std::nullopt;
  return parse(bytes, key);
}

}  // namespace

std::optional<WorkingSet> read_cache(const fs::path& file, const base::Digest& key) {
  return read_from(CacheFolder(file.parent_path()), file, key);
}

std::string write_cache(const fs::path& file, const base::Digest& key, const WorkingSet& set) {
  return CacheFolder(file.parent_path()).write(file.filename().string(), serialize(key, set));
}

WorkingSet cached(const std::string& directory, const std::string& file_name, const base::Digest& key,
                  const std::function<WorkingSet()>& make, std::vector<std::string>& remarks) {
  if (directory.empty()) return make();
  const CacheFolder folder(directory);
  std::vector<std::string> unusable;
  for (const fs::path& file : folder.candidates(file_name)) {
    try {
      if (std::optional<WorkingSet> set = read_from(folder, file, key)) return std::move(*set);
    } catch (const InputError& error) {
      unusable.push_back(file.string() + ": " + error.what() + ": it is rebuilt");
    }
  }
  remarks.insert(remarks.end(), unusable.begin(), unusable.end());
  WorkingSet set = make();
  if (!set.complete) return set;
  try {
    const std::string remark = folder.write(file_name, serialize(key, set));
    if (!remark.empty()) remarks.push_back(remark);
  } catch (const Error& error) {
    remarks.push_back(std::string(error.what()) +
                      ": every run rebuilds its datasets; set OUTERLOOP_CACHE_DIR to a writable folder");
  }
  return set;
}

}  // namespace outerloop::data
