#include "coordinator/complaints.h"

#include <fmt/format.h>

namespace outerloop::coordinator {
namespace {

constexpr double kPauseSeconds = 1.0;

}  // namespace

std::optional<std::string> Complaints::add(int from, const std::string& what, double now) {
  ++in_a_row_[from];
  if (said_at_ && now - *said_at_ < kPauseSeconds) {
    ++unsaid_;
    return std::nullopt;
  }
  said_at_ = now;
  const std::string others =
      unsaid_ > 0 ? fmt::format(" ({} more were ignored since the last line)", unsaid_) : "";
  unsaid_ = 0;
  return fmt::format("a message from rank {} is ignored: {}{}", from, what, others);
}

std::optional<std::string> Complaints::overdue(double now) {
  if (unsaid_ == 0 || now - *said_at_ < kPauseSeconds) return std::nullopt;
  said_at_ = now;
  const std::int64_t count = unsaid_;
  unsaid_ = 0;
  return fmt::format("{} more messages of that kind were ignored", count);
}

bool Complaints::too_many(int from) const {
  const auto found = in_a_row_.find(from);
  return found != in_a_row_.end() && found->second >= kMostInARow;
}

}  // namespace outerloop::coordinator
