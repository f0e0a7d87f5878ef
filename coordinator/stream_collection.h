#pragma once
// Newest known state of every stream, and the collection of all of them for a checkpoint: workers send their
// streams' φ only then.
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "common/store/files.h"

namespace outerloop::coordinator {

class StreamCollection {
 public:
  /// All of `streams` are known: those in `states` as they are, the others at the beginning of task 0.
  StreamCollection(std::int64_t streams, const std::vector<store::StreamState>& states);

  /// Asks `workers` for their streams.
  void begin(std::set<int> workers);
  void cancel();
  bool under_way() const { return under_way_; }
  bool awaits(int worker) const { return awaited_.count(worker) > 0; }
  bool complete() const { return under_way_ && awaited_.empty(); }
  void end() { under_way_ = false; }

  /// What `worker` answered, or lost it.
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
