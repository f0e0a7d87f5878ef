#pragma once
// A clock for tests: it stands still, or moves on by the same time with every look at it.
#include "common/net/transport.h"

namespace outerloop::tests {

class VirtualClock : public net::Clock {
 public:
  explicit VirtualClock(double seconds_per_look = 0.0) : seconds_per_look_(seconds_per_look) {}
  double now() const override { return now_ += seconds_per_look_; }

 private:
  double seconds_per_look_;
  mutable double now_ = 0.0;
};

}  // namespace outerloop::tests
