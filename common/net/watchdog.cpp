#include "common/net/watchdog.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <sstream>

namespace outerloop::net {
namespace {

constexpr double kCheckSeconds = 1.0;
// A thread on a busy machine may be late by seconds; after a stop of the process the gap is far longer.
constexpr double kLongestStep = 5.0;

std::string time_of_day(std::time_t when) {
  std::tm parts{};
  gmtime_r(&when, &parts);
  char text[32];
  return std::strftime(text, sizeof text, "%H:%M:%S UTC", &parts) > 0 ? text : "?";
}

/// The thread inherits the blocked mask, so only the main thread gets signals.
std::thread start_without_signals(const std::function<void()>& body) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(body);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace

void WaitLimit::begin(std::string what, double now) {
  what_ = std::move(what);
  waited_ = 0.0;
  checked_ = now;
}

std::optional<WaitLimit::Overdue> WaitLimit::check(double now) {
  waited_ += std::min(now - checked_, kLongestStep);
  checked_ = now;
  if (what_.empty() || waited_ <= deadline_) return std::nullopt;
  return Overdue{what_, waited_};
}

Watchdog::Watchdog(std::string who, double deadline, std::function<void(const std::string&)> expire)
    : who_(std::move(who)), limit_(deadline), expire_(std::move(expire)) {
  thread_ = start_without_signals([this] { run(); });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    end_ = true;
  }
  ended_.notify_one();
  thread_.join();
}

void Watchdog::watch(std::string what) {
  const std::lock_guard<std::mutex> lock(mutex_);
  limit_.begin(std::move(what), clock_.now());
}

void Watchdog::set_deadline(double seconds, const std::string& name) {
  const std::lock_guard<std::mutex> lock(mutex_);
  limit_.set_deadline(seconds);
  limit_name_ = name;
}

Watchdog::Terms Watchdog::exchange(Terms terms) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Terms before{limit_.deadline(), limit_name_, expire_};
  limit_.set_deadline(terms.deadline);
  limit_.begin_anew(clock_.now());
  limit_name_ = std::move(terms.name);
  expire_ = std::move(terms.expire);
  return before;
}

void Watchdog::set_reminder(double seconds, const std::string& line) {
  const std::lock_guard<std::mutex> lock(mutex_);
  reminder_seconds_ = seconds;
  reminder_ = line;
}

void Watchdog::set_expire(std::function<void(const std::string&)> expire) {
  const std::lock_guard<std::mutex> lock(mutex_);
  expire_ = std::move(expire);
}

void Watchdog::run() {
  std::unique_lock<std::mutex> lock(mutex_);
  const auto period = std::chrono::duration<double>(kCheckSeconds);
  while (!ended_.wait_for(lock, period, [this] { return end_; })) {
    const auto overdue = limit_.check(clock_.now());
    if (!reminder_.empty() && limit_.waited() > reminder_seconds_) {
      std::fprintf(stderr, "outerloop: %s\n", reminder_.c_str());
      reminder_.clear();
    }
    if (!overdue) continue;
    std::ostringstream line;
    line << who_ << " has been waiting for " << overdue->what << " since "
         << time_of_day(std::time(nullptr) - std::lround(overdue->waited))
         << (limit_name_.empty() ? ", longer than watchdog_seconds = "
                                 : ", longer than " + limit_name_ + " = ")
         << limit_.deadline();
    const auto expire = expire_;
    lock.unlock();
    expire(line.str());
    return;
  }
}

void WatchedTransport::send(int to, const Frame& frame) {
  watchdog_.watch("MPI to take a message to rank " + std::to_string(to));
  transport_.send(to, frame);
  watchdog_.watch("its own work after a message to rank " + std::to_string(to));
}

std::optional<Received> WatchedTransport::receive(double timeout) {
  watchdog_.watch("a message of " + peer_);
  auto received = transport_.receive(timeout);
  timed_out_ = !received.has_value();
  watchdog_.watch("its own work after a message of " + peer_);
  return received;
}

bool WatchedTransport::flush(double timeout) {
  watchdog_.watch("messages to " + peer_ + " to leave");
  return transport_.flush(timeout);
}

std::string this_rank() {
  std::string rank = "a rank";
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"})
    if (const char* value = std::getenv(name)) {
      rank = std::string("rank ") + value;
      break;
    }
  char host[256] = "?";
  gethostname(host, sizeof host - 1);
  return rank + " on " + host + " (process " + std::to_string(getpid()) + ")";
}

}  // namespace outerloop::net
