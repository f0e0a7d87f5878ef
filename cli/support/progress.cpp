#include "cli/support/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace outerloop::cli {
namespace {

constexpr std::chrono::milliseconds kRefresh{200};
constexpr std::chrono::seconds kLineEvery{60};

}  // namespace

Progress::Progress()
    : terminal_(isatty(STDERR_FILENO) != 0),
      next_(std::chrono::steady_clock::now() +
            (terminal_ ? kRefresh : std::chrono::milliseconds(kLineEvery))) {}

Progress::~Progress() {
  if (shown_ > 0) std::fputc('\n', stderr);
}

void Progress::show(const std::string& line) {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + (terminal_ ? kRefresh : std::chrono::milliseconds(kLineEvery));
  if (!terminal_) {
    std::fprintf(stderr, "%s\n", line.c_str());
    return;
  }
  std::fprintf(stderr, "\r%-*s", static_cast<int>(shown_), line.c_str());
  std::fflush(stderr);
  shown_ = std::max(line.size(), std::size_t{1});
}

std::string duration(double seconds) {
  const auto whole = static_cast<long>(std::llround(std::max(seconds, 0.0)));
  const long days = whole / 86400, hours = whole / 3600 % 24, minutes = whole / 60 % 60;
  if (days > 0) return fmt::format("{} d {:02}:{:02}", days, hours, minutes);
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60);
  return fmt::format("{}:{:02}", minutes, whole % 60);
}

}  // namespace outerloop::cli
