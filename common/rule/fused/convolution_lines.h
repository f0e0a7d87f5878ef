#pragma once
// Scratch lines of a convolution: a ring of the input lines that its taps read.
#include <algorithm>
#include <cstdint>

#include "common/rule/fused/convolution.h"

namespace outerloop::rule::fused {

inline constexpr std::int64_t kMostTaps = 5;

/// Numbers from one row of a scratch line to the next. Not a power of two: such rows would compete for the
/// same few cache sets.
inline std::int64_t row_pitch(std::int64_t channels, std::int64_t lanes) {
  return channels % (4 * lanes) == 0 ? channels + lanes : channels;
}

/// Lines that the taps read, held in a ring; for a convolution along the batch one line with empty edges.
template <class Real>
struct Ring {
  Real* lines[kMostTaps] = {};
  Real* zeros = nullptr;
  std::int64_t count = 0;

  Real* operator[](std::int64_t unit) const { return lines[unit % count]; }
  Real* or_zeros(std::int64_t unit, std::int64_t units) const {
    return unit < 0 || unit >= units ? zeros : lines[unit % count];
  }
};

/// Hands out the lines of a workspace, each as long as the longest.
template <class Real>
class Scratch {
 public:
  Scratch(Real* workspace, std::int64_t batch, std::int64_t taps, std::int64_t channels, std::int64_t lanes)
      : next_(workspace), line_((batch + taps - 1) * row_pitch(channels, lanes)) {}

  Real* line() {
    Real* const taken = next_;
    next_ += line_;
    return taken;
  }
  Real* rest() const { return next_; }  ///< the part not yet taken
  Real* zeros() {
    Real* const taken = line();
    std::fill(taken, taken + line_, Real(0));
    return taken;
  }
  /// Lines whose first and last `edge` numbers are zero, around `middle` numbers.
  Ring<Real> ring(std::int64_t count, Real* zeros, std::int64_t edge, std::int64_t middle) {
    Ring<Real> ring;
    ring.count = count;
    ring.zeros = zeros;
    for (std::int64_t i = 0; i < count; ++i) {
      ring.lines[i] = line();
      std::fill_n(ring.lines[i], edge, Real(0));
      std::fill_n(ring.lines[i] + edge + middle, edge, Real(0));
    }
    return ring;
  }

 private:
  Real* next_;
  std::int64_t line_;
};

/// Rows of a ring's line that tap j reads for output row 0 of line `unit`.
template <class Real>
const Real* tap_rows(const Ring<Real>& ring, Axis axis, std::int64_t taps, std::int64_t pitch, std::int64_t j,
                     std::int64_t unit, std::int64_t units) {
  if (axis == Axis::batch) return ring[unit] + j * pitch;
  return ring.or_zeros(unit + j - (taps - 1) / 2, units);
}

}  // namespace outerloop::rule::fused
