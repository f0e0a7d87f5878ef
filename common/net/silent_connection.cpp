#include "common/net/silent_connection.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "common/net/silent_greeting.h"

namespace outerloop::net {

SilentConnection::SilentConnection(const MeetingPoint& meeting_point, CallerNumber caller)
    : meeting_point_(meeting_point), caller_(caller) {}

bool SilentConnection::connect(double seconds) {
  constexpr std::chrono::milliseconds kPause{2};
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::duration<double>(seconds);
  for (const auto& endpoint : meeting_point_.endpoints)
    if (const auto to = Endpoint::parse(endpoint)) {
      Attempt attempt;
      attempt.socket = begin_connecting(*to);
      if (attempt.socket.open()) attempts_.push_back(std::move(attempt));
    }
  for (look(); !confirmed_ && !attempts_.empty() && Clock::now() < deadline; look())
    std::this_thread::sleep_for(kPause);
  return confirmed_;
}

void SilentConnection::set_silence(double seconds) {
  silence_ = seconds;
  for (const auto& attempt : attempts_) keep_alive(attempt.socket, seconds);
}

/// Advances each attempt as far as possible; keeps only the first that rank 0 answers.
void SilentConnection::look() {
  for (auto it = attempts_.begin(); it != attempts_.end();) {
    if (!advance(*it)) {
      it = attempts_.erase(it);
      continue;
    }
    if (it->got == kAnswerBytes) {
      Attempt answered = std::move(*it);
      attempts_.clear();
      attempts_.push_back(std::move(answered));
      confirmed_ = true;
      return;
    }
    ++it;
  }
}

/// Returns false once the attempt has failed.
bool SilentConnection::advance(Attempt& attempt) {
  static_assert(kAnswerBytes == kMagicBytes + kHalfToken, "the answer");
  const char* const token = meeting_point_.token.data();
  if (!attempt.greeted) {
    const Connecting state = connecting(attempt.socket);
    if (state != Connecting::connected) return state == Connecting::under_way;
    char greeting[kMagicBytes + kHalfToken + sizeof(CallerNumber)];
    std::memcpy(greeting, kGreetingMagic, kMagicBytes);
    std::memcpy(greeting + kMagicBytes, token, kHalfToken);
    put_number(caller_, greeting + kMagicBytes + kHalfToken);
    if (!write_now(attempt.socket, greeting, sizeof greeting)) return false;
    attempt.greeted = true;
  }
  std::size_t got = 0;
  const Reading reading =
      read_some(attempt.socket, attempt.answer.data() + attempt.got, kAnswerBytes - attempt.got, got);
  attempt.got += got;
  if (reading == Reading::closed || reading == Reading::timed_out) return false;
  return attempt.got < kAnswerBytes ||
         (std::memcmp(attempt.answer.data(), kGreetingMagic, kMagicBytes) == 0 &&
          std::memcmp(attempt.answer.data() + kMagicBytes, token + kHalfToken, kHalfToken) == 0);
}

std::optional<ConnectionEnd> SilentConnection::ended() {
  if (ended_) return ended_;
  if (!confirmed_) {
    look();
    return std::nullopt;
  }
  if (attempts_.empty()) return std::nullopt;
  char nothing[64];
  std::size_t got = 0;
  const Reading reading = read_some(attempts_.front().socket, nothing, sizeof nothing, got);
  if (reading == Reading::closed) ended_ = ConnectionEnd::closed;
  if (reading == Reading::timed_out) ended_ = ConnectionEnd::timed_out;
  return ended_;
}

}  // namespace outerloop::net
