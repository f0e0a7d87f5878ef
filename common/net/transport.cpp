#include "common/net/transport.h"

#include <chrono>
#include <cstring>

#include "common/base/error.h"

namespace outerloop::net {
namespace {

constexpr char kMagic[4] = {'O', 'L', 'F', '1'};
constexpr std::size_t kPreamble = sizeof kMagic + sizeof(std::uint32_t) + sizeof(std::uint64_t);

}  // namespace

void encode(const Frame& frame, std::string& bytes) {
  const auto header_bytes = static_cast<std::uint32_t>(frame.header.size());
  const auto float_count = static_cast<std::uint64_t>(frame.floats.size());
  const std::size_t float_bytes = frame.floats.size() * sizeof(float);
  bytes.clear();
  bytes.reserve(kPreamble + frame.header.size() + float_bytes);
  bytes.append(kMagic, sizeof kMagic);
  bytes.append(reinterpret_cast<const char*>(&header_bytes), sizeof header_bytes);
  bytes.append(reinterpret_cast<const char*>(&float_count), sizeof float_count);
  bytes.append(frame.header);
  bytes.append(reinterpret_cast<const char*>(frame.floats.data()), float_bytes);
}

std::string encode(const Frame& frame) {
  std::string bytes;
  encode(frame, bytes);
  return bytes;
}

FrameView view(const std::string& bytes) {
  if (bytes.size() < kPreamble)
    throw InputError("a message of " + std::to_string(bytes.size()) + " bytes is shorter than its preamble");
  if (std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0)
    throw InputError(
        "a message does not begin with OLF1: the sender is not an outerloop rank, or runs another version");
  std::uint32_t header_bytes = 0;
  std::uint64_t float_count = 0;
  std::memcpy(&header_bytes, bytes.data() + 4, sizeof header_bytes);
  std::memcpy(&float_count, bytes.data() + 8, sizeof float_count);
  const std::uint64_t body = bytes.size() - kPreamble;
  if (header_bytes > body || float_count != (body - header_bytes) / sizeof(float) ||
      (body - header_bytes) % sizeof(float) != 0)
    throw InputError("a message of " + std::to_string(bytes.size()) + " bytes claims a header of " +
                     std::to_string(header_bytes) + " bytes and " + std::to_string(float_count) + " floats");
  return {{bytes.data() + kPreamble, header_bytes},
          {bytes.data() + kPreamble + header_bytes, static_cast<std::size_t>(float_count)}};
}

Frame decode(const std::string& bytes) {
  const FrameView frame = view(bytes);
  return {std::string(frame.header), frame.floats.copy()};
}

std::vector<float> FloatView::copy() const {
  std::vector<float> floats(count_);
  if (count_ > 0) std::memcpy(floats.data(), bytes_, count_ * sizeof(float));
  return floats;
}

double SteadyClock::now() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace outerloop::net
