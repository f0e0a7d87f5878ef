#include <algorithm>
#include <cstring>

#include "common/base/error.h"
#include "common/net/silent_connection.h"
#include "common/net/silent_greeting.h"

namespace outerloop::net {
namespace {

/// Compares in constant time, so that the duration does not reveal where the two differ.
bool equal(const char* a, const char* b, std::size_t count) {
  unsigned difference = 0;
  for (std::size_t i = 0; i < count; ++i)
    difference |= static_cast<unsigned>(static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]));
  return difference == 0;
}

std::string draw_token() {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string token;
  while (token.size() < 2 * kHalfToken) {
    CallerNumber bits = draw_caller_number();
    for (int digit = 0; digit < 15; ++digit, bits >>= 4) token += kDigits[bits & 15];
  }
  token.resize(2 * kHalfToken);
  return token;
}

/// How a connection ended, if it did. Nothing should be sent on it; unexpected bytes are discarded, a bounded
/// number per call.
std::optional<ConnectionEnd> end_of(const Socket& socket) {
  char nothing[512];
  std::size_t got = 0;
  for (int i = 0; i < 4; ++i) switch (read_some(socket, nothing, sizeof nothing, got)) {
      case Reading::nothing:
        return std::nullopt;
      case Reading::bytes:
        break;
      case Reading::closed:
        return ConnectionEnd::closed;
      case Reading::timed_out:
        return ConnectionEnd::timed_out;
    }
  return std::nullopt;
}

}  // namespace

SilentListener::SilentListener(const std::vector<std::string>& addresses) {
  meeting_point_.token = draw_token();
  for (const auto& address : addresses) {
    Endpoint here{address, 0};
    Socket socket = listen_at(address, here.port);
    if (!socket.open()) continue;
    listening_.push_back(std::move(socket));
    meeting_point_.endpoints.push_back(here.text());
  }
  if (listening_.empty()) throw Error("no TCP address of this host can be used for listening");
}

void SilentListener::set_silence(double seconds) {
  silence_ = seconds;
  for (const auto& [number, caller] : callers_)
    for (const auto& socket : caller.sockets) keep_alive(socket, seconds);
}

void SilentListener::bind(CallerNumber caller, int worker) {
  callers_[caller].worker = worker;
  caller_of_[worker] = caller;
}

std::vector<SilentListener::End> SilentListener::look(double now) {
  accept_all(now);
  look_at_strangers(now);
  look_at_callers();
  forget_unbound();
  std::vector<End> ends;
  for (auto& [number, caller] : callers_) {
    if (!caller.ended || !caller.worker || caller.told) continue;
    caller.told = true;
    ends.push_back({*caller.worker, *caller.ended});
  }
  return ends;
}

/// Connections beyond kMostStrangers wait in the kernel.
void SilentListener::accept_all(double now) {
  for (const auto& listening : listening_)
    while (strangers_ < kMostStrangers) {
      Socket socket = accept_at(listening);
      if (!socket.open()) break;
      Stranger& stranger = waiting_[strangers_++];
      stranger.socket = std::move(socket);
      stranger.since = now;
      stranger.got = 0;
    }
}

void SilentListener::look_at_strangers(double now) {
  for (std::size_t i = 0; i < strangers_;) {
    Stranger& stranger = waiting_[i];
    const bool complete = read_greeting(stranger);
    if (complete) admit(stranger);
    if (!complete && stranger.socket.open() && now - stranger.since <= kStrangerSeconds) {
      ++i;
      continue;
    }
    stranger.socket.close();
    if (i != --strangers_) std::swap(stranger, waiting_[strangers_]);
  }
}

/// Whether the greeting is complete. Closes the connection if it cannot be completed.
bool SilentListener::read_greeting(Stranger& stranger) {
  std::size_t got = 0;
  const Reading reading =
      read_some(stranger.socket, stranger.greeting.data() + stranger.got, kGreetingBytes - stranger.got, got);
  stranger.got += got;
  if (reading == Reading::closed || reading == Reading::timed_out) stranger.socket.close();
  return stranger.socket.open() && stranger.got == kGreetingBytes;
}

void SilentListener::admit(Stranger& stranger) {
  static_assert(kGreetingBytes == kMagicBytes + kHalfToken + sizeof(CallerNumber), "the greeting");
  const char* const greeting = stranger.greeting.data();
  const char* const token = meeting_point_.token.data();
  if (!equal(greeting, kGreetingMagic, kMagicBytes) || !equal(greeting + kMagicBytes, token, kHalfToken))
    return;
  char answer[kMagicBytes + kHalfToken];
  std::memcpy(answer, kGreetingMagic, kMagicBytes);
  std::memcpy(answer + kMagicBytes, token + kHalfToken, kHalfToken);
  if (!write_now(stranger.socket, answer, sizeof answer)) return;
  Caller& caller = callers_[number_in(greeting + kMagicBytes + kHalfToken)];
  if (caller.ended) return;  // already reported: a process does not return after its end
  if (silence_ > 0.0) keep_alive(stranger.socket, silence_);
  caller.sockets.push_back(std::move(stranger.socket));
}

/// A caller has ended when its last connection has: it may have connected by several addresses and dropped
/// all but one.
void SilentListener::look_at_callers() {
  // A single system call covers the usual case that nothing has happened.
  polled_.clear();
  for (const auto& [number, caller] : callers_)
    for (const auto& socket : caller.sockets) polled_.push_back({socket.get(), POLLIN | POLLRDHUP, 0});
  if (poll(polled_.data(), polled_.size(), 0) <= 0) return;
  std::size_t place = 0;
  for (auto& [number, caller] : callers_) {
    std::optional<ConnectionEnd> last;
    for (auto it = caller.sockets.begin(); it != caller.sockets.end();) {
      const bool happened = polled_[place++].revents != 0;
      const auto end = happened ? end_of(*it) : std::nullopt;
      if (end) last = end;
      it = end ? caller.sockets.erase(it) : std::next(it);
    }
    if (last && caller.sockets.empty()) caller.ended = last;
  }
}

/// Holders of the token are trusted, but their number is not.
void SilentListener::forget_unbound() {
  std::size_t unbound = 0;
  for (auto it = callers_.begin(); it != callers_.end();) {
    const bool surplus = !it->second.worker && (it->second.ended || ++unbound > kMostUnbound);
    it = surplus ? callers_.erase(it) : std::next(it);
  }
}

bool SilentListener::stands(CallerNumber caller) const {
  const auto found = callers_.find(caller);
  return found != callers_.end() && !found->second.sockets.empty();
}

const SilentListener::Caller* SilentListener::find(int worker) const {
  const auto found = caller_of_.find(worker);
  return found == caller_of_.end() ? nullptr : &callers_.at(found->second);
}

bool SilentListener::worker_stands(int worker) const {
  const Caller* caller = find(worker);
  return caller != nullptr && !caller->sockets.empty();
}

bool SilentListener::worker_came(int worker) const {
  const Caller* caller = find(worker);
  return caller != nullptr && (!caller->sockets.empty() || caller->ended);
}

}  // namespace outerloop::net
