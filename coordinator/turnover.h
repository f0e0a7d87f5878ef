#pragma once
// Worker turnover: who was lost, who has left before the end, and who is expected in a lost one's place.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace outerloop::coordinator {

/// A worker that was lost.
struct Loss {
  int worker = 0;
  std::string host;
  std::int64_t pid = 0;
  std::string reason;
  std::int64_t update = 0;  ///< that the run was at
  double seconds = 0.0;     ///< of meta-training, over resumes
};

/// A worker that has left before the end, in good order.
struct Departure {
  int worker = 0;
  std::string host;
  std::int64_t pid = 0;
  std::int64_t update = 0;
  double seconds = 0.0;
};

class Turnover {
 public:
  void add(Loss loss) { losses_.push_back(std::move(loss)); }
  void add(Departure departure) { departures_.push_back(std::move(departure)); }
  const std::vector<Loss>& losses() const { return losses_; }  ///< since this start, in their order
  const std::vector<Departure>& departures() const { return departures_; }
  bool has_left(int worker) const;

  /// Losses within the hour before `seconds` of meta-training.
  std::int64_t recent_losses(double seconds) const;

  /// A worker of this number has been started, and has not said hello yet.
  void expect(int worker, double now) { expected_[worker] = now; }
  /// It has.
  void arrive(int worker) { expected_.erase(worker); }
  bool expecting() const { return !expected_.empty(); }
  /// Those that have not said hello for `deadline` seconds; they are no longer expected.
  std::vector<int> take_overdue(double now, double deadline);

 private:
  std::vector<Loss> losses_;
  std::vector<Departure> departures_;
  std::map<int, double> expected_;  ///< since when
};

}  // namespace outerloop::coordinator
