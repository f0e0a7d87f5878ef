#include "coordinator/turnover.h"

#include <algorithm>

namespace outerloop::coordinator {
namespace {

constexpr double kHour = 3600.0;

}  // namespace

const char* noticed_by_name(NoticedBy by) {
  switch (by) {
    case NoticedBy::connection:
      return "connection";
    case NoticedBy::process:
      return "process";
    case NoticedBy::keep_alive:
      return "keep_alive";
    case NoticedBy::deadline:
      return "deadline";
    case NoticedBy::itself:
      return "itself";
  }
  return "itself";
}

bool Turnover::has_left(int worker) const {
  return std::any_of(departures_.begin(), departures_.end(),
                     [&](const Departure& departure) { return departure.worker == worker; });
}

std::int64_t Turnover::recent_losses(double seconds) const {
  return std::count_if(losses_.begin(), losses_.end(),
                       [&](const Loss& loss) { return seconds - loss.seconds <= kHour; });
}

std::vector<int> Turnover::take_overdue(double now, double deadline) {
  std::vector<int> overdue;
  for (const auto& [worker, since] : expected_)
    if (now - since > deadline) overdue.push_back(worker);
  for (const int worker : overdue) expected_.erase(worker);
  return overdue;
}

}  // namespace outerloop::coordinator
