#pragma once
// Baseline of `outerloop bench coordinator`: the coordinator's traffic by plain MPI calls.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/net/mpi.h"

namespace outerloop::net {

/// Senders on every rank but 0, each with one message in flight. Rank 0 answers each message, with the large
/// answer if the sender's rank lacks the newest one. The contents are never read.
class BareExchange {
 public:
  struct Sizes {
    std::int64_t senders = 0;      ///< over all ranks, in turn
    std::size_t message = 0;       ///< bytes
    std::size_t large_answer = 0;  ///< bytes
    std::int64_t large_every = 1;  ///< messages between two new large answers
  };
  BareExchange(const MpiSession& session, const Sizes& sizes);

  /// Call it on all ranks at once. Rank 0 receives for `seconds`, after 2 · senders warm-up messages, and
  /// returns messages per second; other ranks return 0.
  double run(double seconds);

 private:
  double receive(double seconds);
  void send();

  const MpiSession& session_;
  Sizes sizes_;
  std::vector<std::string> messages_;  ///< of this rank's senders
  std::string buffer_;                 ///< for received messages
  std::string large_answer_;
};

/// The number of senders on rank `rank` (from 1 on) of `ranks`.
std::int64_t senders_of_rank(std::int64_t senders, int rank, int ranks);

}  // namespace outerloop::net
