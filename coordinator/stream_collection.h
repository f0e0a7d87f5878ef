#pragma once
// The newest known state of every stream, and the collection of all states for a checkpoint. Workers send φ
// of their streams only for that.
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "common/store/files.h"

namespace outerloop::coordinator {

class StreamCollection {
 public:
  /// Initial states of all `streams`: those in `states`, and the beginning of task 0 for the others.
  StreamCollection(std::int64_t streams, const std::vector<store::StreamState>& states);

  /// Begins to wait for the streams of `workers`.
  void begin(std::set<int> workers);
  void cancel();
  bool under_way() const { return under_way_; }
  bool awaits(int worker) const { return awaited_.count(worker) > 0; }
  bool complete() const { return under_way_ && awaited_.empty(); }
  void end() { under_way_ = false; }

  /// Stores the states that `worker` sent, or stops waiting for it.
  void keep(int worker, const std::vector<store::StreamState>& states);
  void forget(int worker) { awaited_.erase(worker); }

  /// One state of every stream, by number.
  std::vector<store::StreamState> states() const;

 private:
  std::map<std::uint32_t, store::StreamState> states_;
  std::set<int> awaited_;
  bool under_way_ = false;
};

}  // namespace outerloop::coordinator
