#include "common/data/cache.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "common/base/error.h"
#include "common/data/source_files.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

constexpr char kMagic[8] = {'O', 'L', 'D', 'A', 'T', 'A', '\r', '\n'};
constexpr std::uint64_t kVersion = 2;
// Where each field of the header begins; the digest ends it.
constexpr std::size_t kSideAt = 12, kInputsAt = 16, kClassesAt = 24, kNameBytesAt = 32, kExamplesAt = 40,
                      kScoresAt = 48, kKeyAt = 56, kDigestAt = 88, kHeaderBytes = 120;
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 34;
constexpr std::uint64_t kMaxSide = 4096;
constexpr std::uint64_t kMaxInputs = kMaxSide * kMaxSide;

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

/// The file's extents, as its header announces them.
struct Extents {
  std::uint64_t side, inputs, classes, name_bytes, examples, scores;

  std::uint64_t numbers() const { return side > 0 ? side * side : inputs; }

  /// True where they fit a payload of exactly so many bytes. No product overflows.
  bool fill(std::uint64_t payload) const {
    if (side > kMaxSide || inputs > kMaxInputs || (side == 0) == (inputs == 0)) return false;
    if (name_bytes > payload || classes > name_bytes) return false;
    if (scores != 0 && scores != examples) return false;
    const std::uint64_t rest = payload - name_bytes;
    return examples <= rest && rest == examples * (4 + numbers()) + 4 * scores;
  }
};

std::vector<std::string> parse_names(const std::uint8_t* bytes, const Extents& extents) {
  std::vector<std::string> result;
  const auto* names = reinterpret_cast<const char*>(bytes);
  const char* const names_end = names + extents.name_bytes;
  while (names != names_end) {
    const auto* end =
        static_cast<const char*>(std::memchr(names, 0, static_cast<std::size_t>(names_end - names)));
    if (end == nullptr) throw InputError("a class name does not end");
    result.emplace_back(names, end);
    names = end + 1;
  }
  if (result.size() != extents.classes) throw InputError("its class names are not as many as announced");
  return result;
}

std::uint32_t bits_of(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

float float_of(std::uint64_t bits) {
  const auto narrow = static_cast<std::uint32_t>(bits);
  float value = 0.0f;
  std::memcpy(&value, &narrow, sizeof value);
  return value;
}

/// The payload's parts, once its size and checksum have been found right.
WorkingSet parse_payload(const std::uint8_t* payload, const Extents& extents) {
  WorkingSet set;
  set.side = static_cast<std::int64_t>(extents.side);
  set.inputs = static_cast<std::int64_t>(extents.inputs);
  set.class_names = parse_names(payload, extents);
  const std::uint8_t* next = payload + extents.name_bytes;
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
    throw InputError("it is no data cache");
  if (get(header + 8, 4) != kVersion) throw InputError("it is of another version");
  if (std::memcmp(header + kKeyAt, key.data(), key.size()) != 0)
    throw InputError("what it was made from has changed");
  const Extents extents{get(header + kSideAt, 4),     get(header + kInputsAt, 8),
                        get(header + kClassesAt, 8),  get(header + kNameBytesAt, 8),
                        get(header + kExamplesAt, 8), get(header + kScoresAt, 8)};
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
  payload.reserve(payload.size() + 4 * (set.labels.size() + set.scores.size()) + set.pixels.size());
  for (const std::int32_t label : set.labels) put(payload, static_cast<std::uint64_t>(label), 4);
  for (const float score : set.scores) put(payload, bits_of(score), 4);
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
  put(bytes, key.data(), key.size());
  put(bytes, digest.data(), digest.size());
  put(bytes, payload.data(), payload.size());
  return bytes;
}

/// Removes the temporary file unless it was renamed.
struct TemporaryFile {
  std::string path;
  int descriptor;
  bool keep = false;
  ~TemporaryFile() {
    if (descriptor >= 0) ::close(descriptor);
    if (!keep) ::unlink(path.c_str());
  }
};

[[noreturn]] void fail(const std::string& path) {
  throw Error(path + ": cannot be written (" + std::strerror(errno) + ")");
}

}  // namespace

std::optional<WorkingSet> read_cache(const fs::path& file, const base::Digest& key) {
  std::error_code error;
  if (!fs::exists(file, error)) return std::nullopt;
  std::vector<std::uint8_t> bytes;
  try {
    bytes = read_file(file, kMaxFileBytes);
  } catch (const InputError&) {
    throw InputError("it cannot be read or is empty");
  }
  return parse(bytes, key);
}

void write_cache(const fs::path& file, const base::Digest& key, const WorkingSet& set) {
  const std::vector<std::uint8_t> bytes = serialize(key, set);
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  if (error) throw Error(file.parent_path().string() + ": cannot be made (" + error.message() + ")");
  std::string temporary_name = file.string() + ".XXXXXX.tmp";
  TemporaryFile temporary{temporary_name, ::mkstemps(temporary_name.data(), 4)};
  temporary.path = temporary_name;
  if (temporary.descriptor < 0) fail(temporary_name);
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t wrote = ::write(temporary.descriptor, bytes.data() + done, bytes.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) fail(temporary_name);
    done += static_cast<std::size_t>(wrote);
  }
  if (::fsync(temporary.descriptor) != 0) fail(temporary_name);
  if (std::rename(temporary_name.c_str(), file.c_str()) != 0) fail(file.string());
  temporary.keep = true;
}

WorkingSet cached(const std::string& directory, const std::string& file_name, const base::Digest& key,
                  const std::function<WorkingSet()>& make) {
  if (directory.empty()) return make();
  const fs::path file = fs::path(directory) / file_name;
  try {
    if (std::optional<WorkingSet> set = read_cache(file, key)) return std::move(*set);
  } catch (const InputError& error) {
    std::fprintf(stderr, "note: %s: %s: it is made anew\n", file.c_str(), error.what());
  }
  WorkingSet set = make();
  try {
    write_cache(file, key, set);
  } catch (const Error& error) {
    static std::atomic<bool> said{false};
    if (!said.exchange(true))
      std::fprintf(stderr,
                   "warning: %s: datasets are made anew by every run; set OUTERLOOP_CACHE_DIR to a folder "
                   "that can be written\n",
                   error.what());
  }
  return set;
}

}  // namespace outerloop::data
