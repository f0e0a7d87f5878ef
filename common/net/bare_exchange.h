#pragma once
// Baseline of `outerloop bench coordinator`: a coordinator's traffic with nothing but MPI.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/net/mpi.h"

namespace outerloop::net {

/// Senders on every rank but 0, each with one message of its own under way; rank 0 answers each message, with
/// the large answer where the sender's rank has not had the newest one yet. No byte is looked at.
class BareExchange {
 public:
  struct Sizes {
    std::int64_t senders = 0;      ///< over all ranks, in turn
    std::size_t message = 0;       ///< bytes
    std::size_t large_answer = 0;  ///< bytes
    std::int64_t large_every = 1;  ///< messages after which there is a new large answer
  };
  BareExchange(const MpiSession& session, const Sizes& sizes);

  /// To be called on all ranks at once. Rank 0 receives for `seconds`, the first 2 · senders messages before
  /// the clock starts not counted, and returns messages per second; 0 elsewhere.
  double run(double seconds);

 private:
  double receive(double seconds);
  void send();

  const MpiSession& session_;
  Sizes sizes_;
  std::vector<std::string> messages_;  ///< of this rank's senders
  std::string buffer_;                 ///< what is received
  std::string large_answer_;
};

/// Senders that rank `rank` (from 1 on) of `ranks` has.
std::int64_t senders_of_rank(std::int64_t senders, int rank, int ranks);

}  // namespace outerloop::net
