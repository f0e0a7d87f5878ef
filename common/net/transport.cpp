#include "common/net/transport.h"

#include <chrono>
#include <cstring>

#include "common/rule/error.h"

namespace outerloop::net {
namespace {

constexpr char kMagic[4] = {'O', 'L', 'F', '1'};
constexpr std::size_t kPreamble = sizeof kMagic + sizeof(std::uint32_t) + sizeof(std::uint64_t);

}  // namespace

std::string encode(const Frame& frame) {
  const auto header_bytes = static_cast<std::uint32_t>(frame.header.size());
  const auto float_count = static_cast<std::uint64_t>(frame.floats.size());
  const std::size_t float_bytes = frame.floats.size() * sizeof(float);
  std::string bytes(kPreamble + frame.header.size() + float_bytes, '\0');
  char* to = bytes.data();
  std::memcpy(to, kMagic, sizeof kMagic);
  std::memcpy(to + 4, &header_bytes, sizeof header_bytes);
  std::memcpy(to + 8, &float_count, sizeof float_count);
  std::memcpy(to + kPreamble, frame.header.data(), frame.header.size());
  if (float_bytes > 0) std::memcpy(to + kPreamble + frame.header.size(), frame.floats.data(), float_bytes);
  return bytes;
}

Frame decode(const std::string& bytes) {
  if (bytes.size() < kPreamble)
    throw InputError("a message of " + std::to_string(bytes.size()) + " bytes is shorter than its preamble");
  if (std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0)
    throw InputError(
        "a message does not begin with OLF1: the sender is no outerloop rank, or of another version");
  std::uint32_t header_bytes = 0;
  std::uint64_t float_count = 0;
  std::memcpy(&header_bytes, bytes.data() + 4, sizeof header_bytes);
  std::memcpy(&float_count, bytes.data() + 8, sizeof float_count);
  const std::uint64_t body = bytes.size() - kPreamble;
  if (header_bytes > body || float_count != (body - header_bytes) / sizeof(float) ||
      (body - header_bytes) % sizeof(float) != 0)
    throw InputError("a message of " + std::to_string(bytes.size()) + " bytes claims a header of " +
                     std::to_string(header_bytes) + " bytes and " + std::to_string(float_count) + " floats");
  Frame frame;
  frame.header.assign(bytes, kPreamble, header_bytes);
  frame.floats.resize(static_cast<std::size_t>(float_count));
  if (float_count > 0)
    std::memcpy(frame.floats.data(), bytes.data() + kPreamble + header_bytes, float_count * sizeof(float));
  return frame;
}

double SteadyClock::now() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace outerloop::net
