#pragma once
// A progress line on stderr: refreshed in place on a terminal, one line a minute elsewhere.
#include <chrono>
#include <string>

namespace outerloop::cli {

class Progress {
 public:
  Progress();
  /// Ends the refreshed line, so that later output begins on a new line.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Shows `line` if a refresh is due.
  void show(const std::string& line);

 private:
  bool terminal_;
  std::size_t shown_ = 0;
  std::chrono::steady_clock::time_point next_;
};

/// e.g. "2:05", "1:00:07", "3 d 04:00"
std::string duration(double seconds);

}  // namespace outerloop::cli
