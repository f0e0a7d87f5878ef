#pragma once
// Interfaces of transport and clock, so that one process can simulate a whole job; frames between ranks.
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace outerloop::net {

/// What travels: a serialised message and raw float32 behind it (a gradient, or θ).
struct Frame {
  std::string header;
  std::vector<float> floats;
};

/// float32 where it lies in a frame's bytes, at any alignment. What it looks at outlives it.
class FloatView {
 public:
  FloatView() = default;
  FloatView(const char* bytes, std::size_t count) : bytes_(bytes), count_(count) {}
  FloatView(const std::vector<float>& floats)
      : FloatView(reinterpret_cast<const char*>(floats.data()), floats.size()) {}

  std::size_t size() const { return count_; }
  float operator[](std::size_t i) const {
    float value;
    std::memcpy(&value, bytes_ + i * sizeof(float), sizeof value);
    return value;
  }
  std::vector<float> copy() const;

 private:
  const char* bytes_ = nullptr;
  std::size_t count_ = 0;
};

/// A frame in the bytes that it came in.
struct FrameView {
  std::string_view header;
  FloatView floats;
};

/// Most bytes a frame may have; larger ones are refused before anything is allocated for them.
inline constexpr std::int64_t kMaximumFrameBytes = std::int64_t{1} << 30;

/// Little-endian bytes: magic "OLF1", header length (uint32), number of floats (uint64), header, floats.
std::string encode(const Frame& frame);
/// The same into memory that is there already.
void encode(const Frame& frame, std::string& bytes);

/// Throws InputError that says what is wrong: short, wrong magic, lengths that do not add up.
Frame decode(const std::string& bytes);

/// The same without a copy: `bytes` outlives the view.
FrameView view(const std::string& bytes);

/// Bytes as they came: whoever handles them decodes, and refuses what cannot be.
struct Received {
  int from = 0;
  std::string bytes;
  std::int64_t oversize =
      0;  ///< length of a message that is larger than any may be; its bytes are left behind
};

/// Point-to-point messages between numbered ranks, in order between each pair.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// Queues a frame; never waits for the receiver.
  virtual void send(int to, const Frame& frame) = 0;

  /// The next frame from anyone, or nothing within `timeout` seconds. Yields the core while it waits.
  virtual std::optional<Received> receive(double timeout) = 0;

  /// Waits until everything queued has left, at most `timeout` seconds. Returns whether it has.
  virtual bool flush(double timeout) = 0;

  /// What is still on its way to `to`, which is lost, is no longer waited for.
  virtual void forget(int /*to*/) {}

  /// Bytes that were received and are done with: their memory may serve the next frame.
  virtual void recycle(std::string /*bytes*/) {}
};

/// Seconds since some fixed moment.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual double now() const = 0;
};

/// The machine's monotonic clock.
class SteadyClock : public Clock {
 public:
  double now() const override;
};

}  // namespace outerloop::net
