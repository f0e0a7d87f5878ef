#include "common/net/bare_exchange.h"

#include <mpi.h>

#include <algorithm>

#include "common/base/error.h"

namespace outerloop::net {
namespace {

constexpr int kTag = 2;
constexpr std::size_t kSmallAnswer = 32;  // bytes, the size of a coordinator's answer without θ
constexpr char kGoOn = 0, kStop = 1;      // first byte of an answer

void check(int code, const char* call) { OUTERLOOP_CHECK(code == MPI_SUCCESS, call); }

int as_count(std::size_t bytes) { return static_cast<int>(bytes); }

}  // namespace

std::int64_t senders_of_rank(std::int64_t senders, int rank, int ranks) {
  const std::int64_t others = ranks - 1;
  return senders / others + (rank - 1 < senders % others ? 1 : 0);
}

BareExchange::BareExchange(const MpiSession& session, const Sizes& sizes) : session_(session), sizes_(sizes) {
  OUTERLOOP_CHECK(session.size() > 1 && sizes.large_answer > kSmallAnswer, "an exchange needs two ranks");
  if (session.rank() == 0) {
    buffer_.assign(sizes.message, '\0');
    large_answer_.assign(sizes.large_answer, kGoOn);
    return;
  }
  buffer_.assign(sizes.large_answer, '\0');
  const auto mine = senders_of_rank(sizes.senders, session.rank(), session.size());
  messages_.assign(static_cast<std::size_t>(mine), std::string(sizes.message, '\1'));
}

double BareExchange::run(double seconds) {
  if (session_.rank() == 0) return receive(seconds);
  send();
  return 0.0;
}

double BareExchange::receive(double seconds) {
  const std::string small(kSmallAnswer, kGoOn), stop(kSmallAnswer, kStop);
  std::vector<std::int64_t> newest(static_cast<std::size_t>(session_.size()), -1);
  std::vector<MPI_Request> large(static_cast<std::size_t>(session_.size()), MPI_REQUEST_NULL);
  const std::int64_t warm_up = 2 * sizes_.senders;
  const SteadyClock clock;
  double begin = 0.0, end = 0.0;
  std::int64_t counted = 0;
  // After the end, each sender's last message is answered with kStop.
  for (std::int64_t received = 0, left = sizes_.senders; left > 0; ++received) {
    MPI_Status status;
    check(MPI_Recv(buffer_.data(), as_count(buffer_.size()), MPI_BYTE, MPI_ANY_SOURCE, kTag, MPI_COMM_WORLD,
                   &status),
          "MPI_Recv");
    const int from = status.MPI_SOURCE;
    const auto at = static_cast<std::size_t>(from);
    if (received == warm_up) begin = clock.now();
    if (received > warm_up && end == 0.0) {
      const double now = clock.now();
      if (now - begin >= seconds) {
        end = now;
        counted = received - warm_up;
      }
    }
    const bool stops = end > 0.0;
    if (stops) --left;
    const std::int64_t version = received / sizes_.large_every;
    if (!stops && newest[at] != version) {
      newest[at] = version;
      check(MPI_Wait(&large[at], MPI_STATUS_IGNORE), "MPI_Wait");
      check(MPI_Isend(large_answer_.data(), as_count(large_answer_.size()), MPI_BYTE, from, kTag,
                      MPI_COMM_WORLD, &large[at]),
            "MPI_Isend");
    } else {
      const std::string& answer = stops ? stop : small;
      check(MPI_Send(answer.data(), as_count(answer.size()), MPI_BYTE, from, kTag, MPI_COMM_WORLD),
            "MPI_Send");
    }
  }
  check(MPI_Waitall(as_count(large.size()), large.data(), MPI_STATUSES_IGNORE), "MPI_Waitall");
  return static_cast<double>(counted) / (end - begin);
}

void BareExchange::send() {
  std::vector<MPI_Request> requests(messages_.size(), MPI_REQUEST_NULL);
  const auto begin = [&](std::size_t i) {
    check(MPI_Isend(messages_[i].data(), as_count(messages_[i].size()), MPI_BYTE, 0, kTag, MPI_COMM_WORLD,
                    &requests[i]),
          "MPI_Isend");
  };
  for (std::size_t i = 0; i < messages_.size(); ++i) begin(i);
  std::size_t next = 0;  // answers arrive in the order of the messages
  for (std::size_t left = messages_.size(); left > 0; next = (next + 1) % messages_.size()) {
    check(MPI_Recv(buffer_.data(), as_count(buffer_.size()), MPI_BYTE, 0, kTag, MPI_COMM_WORLD,
                   MPI_STATUS_IGNORE),
          "MPI_Recv");
    check(MPI_Wait(&requests[next], MPI_STATUS_IGNORE), "MPI_Wait");
    if (buffer_.front() == kStop)
      --left;
    else
      begin(next);
  }
}

}  // namespace outerloop::net
