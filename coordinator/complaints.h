#pragma once
// Warnings about ignored messages: at most one line a second, and a count of consecutive ones per rank.
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace outerloop::coordinator {

class Complaints {
 public:
  /// Consecutive unusable messages after which a worker counts as lost.
  static constexpr std::int64_t kMostInARow = 1000;

  /// Counts an ignored message from rank `from`; `what` is the reason. Returns the line to print now, if any.
  std::optional<std::string> add(int from, const std::string& what, double now);
  /// The line about messages not reported yet, one second after the last line.
  std::optional<std::string> overdue(double now);
  /// Resets the count: rank `from` has sent a usable message.
  void forgive(int from) { in_a_row_.erase(from); }
  bool too_many(int from) const;

 private:
  std::map<int, std::int64_t> in_a_row_;
  std::int64_t unsaid_ = 0;
  std::optional<double> said_at_;
};

}  // namespace outerloop::coordinator
