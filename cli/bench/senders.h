#pragma once
// Simulated workers of one rank, for outerloop bench coordinator: they send gradients and compute nothing.
#include <cstdint>
#include <deque>
#include <vector>

#include "common/net/transport.h"
#include "outerloop/messages.pb.h"

namespace outerloop::cli {

/// Acts towards the coordinator as one worker with its assigned streams. Each stream stands for a worker: it
/// has one gradient in flight and sends the next when it gets an answer. θ is thus received once per version.
class Senders {
 public:
  /// All gradients consist of the same random numbers, [floats], with norm 1.
  Senders(net::Transport& transport, std::int64_t floats);

  /// Exchanges messages with rank 0 until released. Throws Error if rank 0 is silent for a minute.
  void run();

  /// Size of one gradient's message in bytes.
  std::size_t message_bytes();

 private:
  void send_gradient(std::uint32_t stream);
  proto::CoordinatorMessage next_answer();

  net::Transport& transport_;
  net::Frame gradient_;  ///< the header is rewritten for each message
  std::vector<float> theta_;
  std::int64_t theta_version_ = -1;
  std::deque<std::uint32_t> under_way_;  ///< answers arrive in the order of the messages
};

}  // namespace outerloop::cli
