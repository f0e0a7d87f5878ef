#pragma once
// Worker turnover: who was lost, who has left before the end, and who is expected in a lost one's place.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace outerloop::coordinator {

/// What told that a worker is lost.
enum class NoticedBy {
  connection,  ///< its silent connection has ended: the process is gone
  process,     ///< the kernel of rank 0's host
  keep_alive,  ///< its host, or the network to it, gives no sign of life
  deadline,    ///< it does not get on with what it was asked for
  itself,      ///< it said so, or came with what cannot be used
};
const char* noticed_by_name(NoticedBy by);

/// A worker that was lost.
struct Loss {
  int worker = 0;
  std::string host;
  std::int64_t pid = 0;
  std::string reason;
  std::int64_t update = 0;  ///< that the run was at
  double seconds = 0.0;     ///< of meta-training, over resumes
  NoticedBy noticed_by{};
  double after = 0.0;  ///< seconds since it was last heard of
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
  /// It is still getting ready.
  void hear_of(int worker, double now) {
    if (const auto found = expected_.find(worker); found != expected_.end()) found->second = now;
  }
  bool expects(int worker) const { return expected_.count(worker) > 0; }
  /// It has, or will not.
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
