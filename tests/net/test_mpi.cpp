// The transport over real MPI: run at several numbers of ranks. Every rank checks something; any failure ends
// all.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "common/base/error.h"
#include "common/net/mpi.h"

using namespace outerloop;

namespace {

constexpr double kDeadline = 30.0;

net::Frame frame_of(int from, int number) {
  // From empty to far beyond MPI's eager limit.
  const std::size_t floats = number % 2 == 0 ? static_cast<std::size_t>(number) * 20000 : 3;
  return {std::to_string(from) + ":" + std::to_string(number),
          std::vector<float>(floats, static_cast<float>(from * 100 + number))};
}

void check_frame(const net::Frame& frame, int from, int number) {
  const auto expected = frame_of(from, number);
  OUTERLOOP_CHECK(frame.header == expected.header, frame.header + " instead of " + expected.header);
  OUTERLOOP_CHECK(frame.floats == expected.floats, "floats of " + frame.header);
}

/// Every rank sends ten frames to every rank, itself included, and gets them all, in order from each.
void exchange(net::MpiTransport& transport) {
  constexpr int kFrames = 10;
  for (int number = 0; number < kFrames; ++number)
    for (int to = 0; to < transport.size(); ++to) transport.send(to, frame_of(transport.rank(), number));
  std::vector<int> next(static_cast<std::size_t>(transport.size()));
  for (int i = 0; i < kFrames * transport.size(); ++i) {
    const auto received = transport.receive(kDeadline);
    OUTERLOOP_CHECK(received.has_value(), "frame " + std::to_string(i) + " did not come");
    check_frame(net::decode(received->bytes), received->from,
                next[static_cast<std::size_t>(received->from)]++);
  }
  OUTERLOOP_CHECK(transport.flush(kDeadline), "frames are left");
  OUTERLOOP_CHECK(!transport.receive(0.01).has_value(), "a frame too many");
}

/// A message that is larger than any may be is reported by its length, and those before and after it come.
/// This one is below MPI's eager limit, so that its sender is done with it and MPI can be finalised.
void leave_behind(net::MpiTransport& transport) {
  constexpr std::int64_t kMost = 1000;
  transport.set_most_bytes(kMost);
  if (transport.rank() == 1)
    for (const std::size_t floats : {3u, 500u, 5u}) transport.send(0, {"", std::vector<float>(floats, 1.0f)});
  if (transport.rank() != 0) return;
  std::size_t frames = 0, reports = 0;
  while (frames < 2 || reports < 1) {
    const auto received = transport.receive(kDeadline);
    OUTERLOOP_CHECK(received.has_value(), "nothing came");
    OUTERLOOP_CHECK_EQ(received->from, 1);
    if (received->oversize > 0) {
      ++reports;
      OUTERLOOP_CHECK(received->oversize > kMost && received->bytes.empty(), "a report of the length alone");
    } else {
      OUTERLOOP_CHECK_EQ(net::decode(received->bytes).floats.size(), frames++ == 0 ? 3u : 5u);
    }
  }
  OUTERLOOP_CHECK(!transport.receive(0.01).has_value(), "a frame too many");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    net::MpiSession mpi(&argc, &argv);
    OUTERLOOP_CHECK(argc == 2, "usage: test_mpi RANKS");
    OUTERLOOP_CHECK_EQ(mpi.size(), std::atoi(argv[1]));
    OUTERLOOP_CHECK(mpi.local_rank() < mpi.local_size(), "local rank");
    const std::string text = mpi.rank() == 0 ? std::string("from rank 0\0with a zero", 23) : "ignored";
    OUTERLOOP_CHECK(mpi.broadcast(text).size() == 23, "broadcast");
    const auto all = mpi.gather_all(std::string(static_cast<std::size_t>(mpi.rank()), 'x'));
    OUTERLOOP_CHECK_EQ(static_cast<int>(all.size()), mpi.size());
    for (std::size_t rank = 0; rank < all.size(); ++rank) OUTERLOOP_CHECK_EQ(all[rank].size(), rank);
    net::MpiTransport transport(mpi);
    exchange(transport);
    mpi.gather_all("");
    if (mpi.size() > 1) leave_behind(transport);
    mpi.gather_all("");
    if (mpi.rank() == 0) std::printf("%d ranks: all frames arrived\n", mpi.size());
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    net::MpiSession::abort(1);
  }
}
