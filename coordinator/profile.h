#pragma once
// Profile of the coordinator's time by kind of work. The profiler supplies the clock.

namespace outerloop::coordinator {

/// receive: including the wait for the next frame. sum: check, norm and sum of a gradient. adam: everything
/// that turns a batch into an update. rest: parsing and writing messages, and everything else.
enum class Part { receive, sum, adam, send, rest };
inline constexpr int kParts = 5;

class Profiler {
 public:
  virtual ~Profiler() = default;
  /// Work on `part` begins; work on the previous part ends.
  virtual void enter(Part part) = 0;
};

/// Notifies `profiler`, if there is one.
inline void enter(Profiler* profiler, Part part) {
  if (profiler != nullptr) profiler->enter(part);
}

}  // namespace outerloop::coordinator
