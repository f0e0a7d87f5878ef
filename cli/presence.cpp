#include "cli/presence.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "outerloop/messages.pb.h"
#include "worker/worker.h"

namespace outerloop::cli {
namespace {

constexpr int kStartTag = 3;
constexpr std::int64_t kMostStartBytes = 1 << 16;  // enough for rank 0's addresses, a few lines
constexpr double kInvitationSeconds = 30.0;        // rank 0 sends it first of all
// From the end of a rank to the end of start-up: a rank that ends with an error reports it first.
constexpr double kGraceSeconds = 2.0;
constexpr double kTellSeconds = 1.0;
constexpr double kLookSeconds = 0.01;  // checking hundreds of connections takes time
constexpr std::uint64_t kDescriptorsOfRank = 4, kDescriptorsBeside = 1024;

/// A listener at the addresses at which rank 0 can be reached.
std::unique_ptr<net::SilentListener> listen(bool one_host) {
  const auto addresses =
      net::offered_addresses(net::interface_addresses(), net::interface_choice(), one_host);
  try {
    return std::make_unique<net::SilentListener>(addresses);
  } catch (const Error&) {
    return nullptr;
  }
}

}  // namespace

std::string Invitation::text(std::size_t most) const {
  net::MeetingPoint fitting = meeting_point;
  const auto whole = [&] { return fmt::format("{} {}", caller, fitting.text()); };
  while (!fitting.endpoints.empty() && whole().size() > most) fitting.endpoints.pop_back();
  return whole();
}

std::optional<Invitation> Invitation::from_environment() {
  const char* value = std::getenv(kCallerVariable);
  if (value == nullptr) return std::nullopt;
  std::istringstream stream(value);
  Invitation invitation;
  std::string rest;
  if (!(stream >> invitation.caller) || !std::getline(stream, rest)) return std::nullopt;
  try {
    invitation.meeting_point = net::MeetingPoint::parse(rest);
  } catch (const InputError&) {
    return std::nullopt;
  }
  return invitation;
}

net::Frame progress_frame(std::int64_t step) {
  proto::WorkerMessage message;
  message.mutable_progress()->set_stream(worker::kNoStream);
  message.mutable_progress()->set_step(step);
  return {message.SerializeAsString(), {}};
}

Presence::Presence(net::MpiSession& mpi, net::Watchdog& watchdog, bool joinable)
    : mpi_(mpi), watchdog_(watchdog) {
  if (mpi.size() == 1) return;
  transport_ = std::make_unique<net::MpiTransport>(mpi, kStartTag);
  transport_->set_most_bytes(kMostStartBytes);
  if (mpi.rank() == 0) {
    invite_workers(joinable);
    mpi.set_while_waiting([this] { watch_workers(); });
  } else {
    accept_invitation();
    mpi.set_while_waiting([this] { watch_coordinator(); });
  }
}

Presence::Presence(net::MpiSession& mpi, net::Watchdog& watchdog, const Invitation& invitation)
    : mpi_(mpi), watchdog_(watchdog) {
  connection_.emplace(invitation.meeting_point, invitation.caller);
  connection_->connect();
}

Presence::~Presence() { end_start(); }

/// Point to point, because a collective would pass through ranks that may be dead.
void Presence::invite_workers(bool joinable) {
  const auto ranks = static_cast<std::uint64_t>(mpi_.size());
  net::raise_descriptor_limit(kDescriptorsOfRank * ranks + kDescriptorsBeside);
  listener_ = listen(mpi_.local_size() == mpi_.size() && !joinable);
  const std::string where = listener_ ? listener_->meeting_point().text() : "";
  for (int rank = 1; rank < mpi_.size(); ++rank) {
    if (listener_) listener_->bind(static_cast<net::CallerNumber>(rank), rank);
    transport_->send(rank, {where, {}});
  }
  const auto all_are_there = [&] {
    for (int rank = 1; rank < mpi_.size(); ++rank)
      if (!listener_->worker_came(rank)) return false;
    return true;
  };
  constexpr std::chrono::milliseconds kPause{1};
  const double end = clock_.now() + net::SilentConnection::kConnectSeconds;
  for (; listener_ && !all_are_there() && clock_.now() < end; std::this_thread::sleep_for(kPause)) {
    watch_workers();
    transport_->flush(0.0);  // makes progress
  }
}

void Presence::accept_invitation() {
  const auto received = transport_->receive(kInvitationSeconds);
  if (!received) return;
  const std::string where = net::decode(received->bytes).header;
  if (where.empty()) return;
  connection_.emplace(net::MeetingPoint::parse(where), static_cast<net::CallerNumber>(mpi_.rank()));
  connection_->connect();
}

void Presence::set_silence(double seconds) {
  silence_ = seconds;
  if (listener_) listener_->set_silence(seconds);
  if (connection_) connection_->set_silence(seconds);
}

bool Presence::time_to_look() {
  const double now = clock_.now();
  if (now - looked_ < kLookSeconds) return false;
  looked_ = now;
  return true;
}

bool Presence::watched_for_long(bool gone) {
  if (!gone) return false;
  if (!gone_since_) gone_since_ = clock_.now();
  return clock_.now() - *gone_since_ > kGraceSeconds;
}

/// Called while rank 0 waits during start-up. Forwards a worker's progress to all ranks.
void Presence::watch_workers() {
  if (!listener_ || !time_to_look()) return;
  for (const auto& end : listener_->look(clock_.now()))
    if (!ended_) ended_ = end.worker;
  if (take_messages("all ranks to get ready") && clock_.now() - told_ >= kTellSeconds) {
    told_ = clock_.now();
    for (int rank = 1; rank < mpi_.size(); ++rank) transport_->send(rank, {});
  }
  if (watched_for_long(ended_.has_value()))
    throw RankEnded(fmt::format("rank {} has ended during the start; the job ends", *ended_));
}

/// Called while a worker waits during start-up.
void Presence::watch_coordinator() {
  if (!time_to_look()) return;
  const std::string gone = coordinator_gone();
  if (watched_for_long(!gone.empty())) throw RankEnded(gone);
  take_messages("the others to get ready");
}

/// Receives progress messages. Returns whether there were any.
bool Presence::take_messages(const char* awaited) {
  bool any = false;
  for (; transport_->receive(0.0); any = true) watchdog_.watch(awaited);
  return any;
}

std::string Presence::coordinator_gone() {
  const auto end = connection_ ? connection_->ended() : std::nullopt;
  if (!end) return {};
  if (*end == net::ConnectionEnd::closed) return "the coordinator's process has ended";
  return fmt::format("no sign of life of the coordinator's host, or of the network to it, for {:g} s",
                     silence_);
}

void Presence::tell(std::int64_t step) {
  watchdog_.watch("its own speed measurement");
  if (transport_ && mpi_.rank() != 0) transport_->send(0, progress_frame(step));
}

}  // namespace outerloop::cli
