#pragma once
// A profile of the coordinator's time by part of its work. The clock is the profiler's.

namespace outerloop::coordinator {

/// receive: waiting for the next frame included. sum: check, norm and sum of a gradient. adam: everything
/// that makes an update of a batch. rest: messages read and written, and what no other part names.
enum class Part { receive, sum, adam, send, rest };
inline constexpr int kParts = 5;

class Profiler {
 public:
  virtual ~Profiler() = default;
  /// Work on `part` begins, and that on the part before ends.
  virtual void enter(Part part) = 0;
};

/// Tells `profiler`, where there is one.
inline void enter(Profiler* profiler, Part part) {
  if (profiler != nullptr) profiler->enter(part);
}

}  // namespace outerloop::coordinator
