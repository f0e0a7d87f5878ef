#include "common/store/sealed_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "common/base/error.h"
#include "common/base/sha256.h"
#include "common/store/atomic_file.h"
#include "common/store/hdf5.h"

namespace outerloop::store {
namespace {

// The line end detects transfers in text mode, like that of PNG's signature.
constexpr char kMagic[] = "outerloop HDF5\r\n";
constexpr std::size_t kMagicSize = 16;
constexpr std::size_t kVersionAt = 16, kLengthAt = 24, kDigestAt = 32, kEndAt = 64;
static_assert(sizeof kMagic == kMagicSize + 1, "the magic fills its field");

base::Digest digest_of(const std::vector<std::uint8_t>& bytes) {
  base::Sha256 hash;
  hash.update(bytes.data() + kUserBlock, bytes.size() - kUserBlock);
  return hash.finish();
}

template <class Number>
Number number_at(const std::vector<std::uint8_t>& bytes, std::size_t place) {
  Number value = 0;
  for (std::size_t i = 0; i < sizeof(Number); ++i)
    value |= static_cast<Number>(static_cast<Number>(bytes[place + i]) << (8 * i));
  return value;
}

template <class Number>
void put_number(std::vector<std::uint8_t>& bytes, std::size_t place, Number value) {
  for (std::size_t i = 0; i < sizeof(Number); ++i)
    bytes[place + i] = static_cast<std::uint8_t>(value >> (8 * i));
}

std::string reason(int code) { return std::generic_category().message(code); }

/// Appends from the file up to a total of `size` bytes; fewer if it ends before.
void read_up_to(const std::string& path, const Descriptor& file, std::size_t size,
                std::vector<std::uint8_t>& bytes) {
  std::size_t have = bytes.size();
  bytes.resize(size);
  while (have < size) {
    const ssize_t count = ::read(file.get(), bytes.data() + have, size - have);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw UnreadableError(path + ": cannot be read: " + reason(errno));
    if (count == 0) break;
    have += static_cast<std::size_t>(count);
  }
  bytes.resize(have);
}

void check_magic(const std::string& path, const std::vector<std::uint8_t>& bytes) {
  const bool cut = bytes.size() < kUserBlock;
  const std::size_t seen = std::min(bytes.size(), kMagicSize);
  if (bytes.empty() || std::memcmp(bytes.data(), kMagic, seen) != 0)
    throw InputError(path +
                     ": not a file of Outerloop (rule.h5 or a checkpoint): it begins with other bytes");
  if (cut)
    throw InputError(path +
                     ": ends early, inside its first 512 bytes; use another checkpoint, or copy it again");
}

}  // namespace

void seal(std::vector<std::uint8_t>& bytes, std::uint32_t format_version) {
  OUTERLOOP_CHECK(bytes.size() > kUserBlock, "a file without content");
  std::fill_n(bytes.begin(), kUserBlock, std::uint8_t{0});
  std::copy_n(kMagic, kMagicSize, bytes.begin());
  put_number(bytes, kVersionAt, format_version);
  put_number(bytes, kLengthAt, static_cast<std::uint64_t>(bytes.size() - kUserBlock));
  const auto digest = digest_of(bytes);
  std::copy(digest.begin(), digest.end(), bytes.begin() + kDigestAt);
}

std::vector<std::uint8_t> read_sealed(const std::string& path, std::uint32_t newest_version) {
  // Non-blocking, so that a pipe of that name is rejected instead of blocking.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.open()) throw UnreadableError(path + ": cannot be opened: " + reason(errno));
  struct stat status {};
  if (fstat(file.get(), &status) != 0) throw UnreadableError(path + ": cannot be read: " + reason(errno));
  if (!S_ISREG(status.st_mode))
    throw InputError(path + ": is no regular file; give a rule.h5 or a checkpoint");

  // The block gives the file's required length; memory is allocated only after this check.
  std::vector<std::uint8_t> bytes;
  read_up_to(path, file, kUserBlock, bytes);
  check_magic(path, bytes);
  const auto length = number_at<std::uint64_t>(bytes, kLengthAt);
  const auto present = static_cast<std::uint64_t>(status.st_size) - kUserBlock;
  const std::string hint = "; use another checkpoint, or copy it again";
  if (present != length || length == 0)
    throw InputError(path + (present < length ? ": ends early: " : ": damaged: ") + std::to_string(present) +
                     " bytes follow its first block, which promises " + std::to_string(length) + hint);
  read_up_to(path, file, static_cast<std::size_t>(status.st_size), bytes);
  if (bytes.size() != length + kUserBlock)
    throw InputError(path + ": became shorter while it was read" + hint);
  const auto digest = digest_of(bytes);
  if (!std::equal(digest.begin(), digest.end(), bytes.begin() + kDigestAt))
    throw InputError(path + ": damaged: its SHA-256 differs from the one it carries" + hint);

  const auto version = number_at<std::uint32_t>(bytes, kVersionAt);
  if (version > newest_version)
    throw InputError(path + ": written by a newer version of Outerloop (format " + std::to_string(version) +
                     ", this one reads up to " + std::to_string(newest_version) + "); update Outerloop");
  const bool rest_zero =
      std::all_of(bytes.begin() + kEndAt, bytes.begin() + kUserBlock, [](auto b) { return b == 0; });
  if (version == 0 || number_at<std::uint32_t>(bytes, kVersionAt + 4) != 0 || !rest_zero)
    throw InputError(path + ": damaged: its first block holds invalid data" + hint);
  return bytes;
}

}  // namespace outerloop::store
