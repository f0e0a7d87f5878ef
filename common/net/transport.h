#pragma once
// Interfaces of transport and clock, and frames between ranks. With other implementations, one process can
// simulate a whole job.
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace outerloop::net {

/// The unit of transport: a serialised message followed by raw float32 numbers (a gradient, or θ).
struct Frame {
  std::string header;
  std::vector<float> floats;
};

/// A view of float32 numbers in a frame's bytes, at any alignment. The bytes must outlive it.
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

/// A view of a frame in its received bytes.
struct FrameView {
  std::string_view header;
  FloatView floats;
};

/// Largest frame in bytes; larger ones are refused before any allocation.
inline constexpr std::int64_t kMaximumFrameBytes = std::int64_t{1} << 30;

/// Little-endian bytes: magic "OLF1", header length (uint32), number of floats (uint64), header, floats.
std::string encode(const Frame& frame);
/// The same into an existing buffer.
void encode(const Frame& frame, std::string& bytes);

/// Throws InputError with the cause: too short, wrong magic, inconsistent lengths.
Frame decode(const std::string& bytes);

/// The same without a copy; `bytes` must outlive the view.
FrameView view(const std::string& bytes);

/// Received bytes, not checked yet: decode() or view() does that.
struct Received {
  int from = 0;
  std::string bytes;
  std::int64_t oversize = 0;  ///< length of a message beyond the limit, whose bytes were not received
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

  /// Waits until everything queued has left, at most `timeout` seconds. Returns whether everything has.
  virtual bool flush(double timeout) = 0;

  /// Stops waiting for frames to the lost rank `to`.
  virtual void forget(int /*to*/) {}

  /// Returns a received buffer for reuse.
  virtual void recycle(std::string /*bytes*/) {}
};

/// Seconds since some fixed time.
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
