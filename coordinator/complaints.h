#pragma once
// Messages that are ignored: one line a second at most, and how many each rank has sent in a row.
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace outerloop::coordinator {

class Complaints {
 public:
  /// Messages in a row that cannot be used after which a worker is given up.
  static constexpr std::int64_t kMostInARow = 1000;

  /// A message from rank `from` is ignored because of `what`. Returns the line to be printed now, if any.
  std::optional<std::string> add(int from, const std::string& what, double now);
  /// The line about those that none has been printed of, a second after the last one.
  std::optional<std::string> overdue(double now);
  /// Rank `from` has sent one that could be used.
  void forgive(int from) { in_a_row_.erase(from); }
  bool too_many(int from) const;

 private:
  std::map<int, std::int64_t> in_a_row_;
  std::int64_t unsaid_ = 0;
  std::optional<double> said_at_;
};

}  // namespace outerloop::coordinator
