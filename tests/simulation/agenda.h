#pragma once
// Virtual time: an event queue and its clock.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "common/net/transport.h"

namespace outerloop::simulation {

class Agenda : public net::Clock {
 public:
  double now() const override { return now_; }
  std::int64_t events() const { return events_; }

  void at(double time, std::function<void()> act) {
    heap_.push_back({time, order_++, std::move(act)});
    std::push_heap(heap_.begin(), heap_.end());
  }

  /// Moves the clock to the next event and runs it. Events at the same time run in the order in which they
  /// were planned.
  void step() {
    std::pop_heap(heap_.begin(), heap_.end());
    const Event event = std::move(heap_.back());
    heap_.pop_back();
    now_ = event.time;
    ++events_;
    event.act();
  }

  /// Drops all planned events.
  void clear() { heap_.clear(); }

 private:
  struct Event {
    double time;
    std::uint64_t order;
    std::function<void()> act;
    bool operator<(const Event& other) const {
      return time != other.time ? time > other.time : order > other.order;
    }
  };
  std::vector<Event> heap_;
  double now_ = 0.0;
  std::uint64_t order_ = 0;
  std::int64_t events_ = 0;
};

}  // namespace outerloop::simulation
