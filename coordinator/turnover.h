#pragma once
// Worker turnover: losses, early departures, and replacements that have not said hello yet.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace outerloop::coordinator {

/// How the loss of a worker was detected.
enum class NoticedBy {
  connection,  ///< its silent connection has ended, so its process is gone
  process,     ///< rank 0's kernel reported the end of its process
  keep_alive,  ///< no sign of life from its host, or from the network to it
  deadline,    ///< it has made no progress within the deadline
  itself,      ///< it reported a failure, or sent unusable data
};
const char* noticed_by_name(NoticedBy by);

/// A lost worker.
struct Loss {
  int worker = 0;
  std::string host;
  std::int64_t pid = 0;
  std::string reason;
  std::int64_t update = 0;  ///< of the run at that time
  double seconds = 0.0;     ///< of meta-training, over resumes
  NoticedBy noticed_by{};
  double after = 0.0;  ///< seconds since its last message
};

/// A worker that has left gracefully before the end.
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
  const std::vector<Loss>& losses() const { return losses_; }  ///< since this start, in order
  const std::vector<Departure>& departures() const { return departures_; }
  bool has_left(int worker) const;

  /// Losses within the hour before `seconds` of meta-training.
  std::int64_t recent_losses(double seconds) const;

  /// A worker with this number has been started and has not said hello yet.
  void expect(int worker, double now) { expected_[worker] = now; }
  /// Restarts the deadline of an expected worker that is still starting up.
  void hear_of(int worker, double now) {
    if (const auto found = expected_.find(worker); found != expected_.end()) found->second = now;
  }
  bool expects(int worker) const { return expected_.count(worker) > 0; }
  /// The worker has said hello, or was given up.
  void arrive(int worker) { expected_.erase(worker); }
  bool expecting() const { return !expected_.empty(); }
  /// Removes and returns the workers that have not said hello for `deadline` seconds.
  std::vector<int> take_overdue(double now, double deadline);

 private:
  std::vector<Loss> losses_;
  std::vector<Departure> departures_;
  std::map<int, double> expected_;  ///< start of the deadline
};

}  // namespace outerloop::coordinator
