#pragma once
// Watchdog thread: ends a rank whose current wait exceeds watchdog_seconds, after printing the awaited event
// and the start of the wait. It works even if the main thread hangs inside MPI, a file system or a driver.
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "common/net/transport.h"

namespace outerloop::net {

/// Decides when a wait is too long. No thread and no clock.
class WaitLimit {
 public:
  /// `deadline`: seconds.
  explicit WaitLimit(double deadline) : deadline_(deadline) {}

  /// Begins a wait for `what`.
  void begin(std::string what, double now);
  void begin_anew(double now) { begin(std::move(what_), now); }
  void set_deadline(double deadline) { deadline_ = deadline; }

  struct Overdue {
    std::string what;
    double waited = 0.0;  ///< seconds
  };
  /// Call it about once a second. Longer gaps between calls do not count: then the process or its machine was
  /// stopped.
  std::optional<Overdue> check(double now);

  double deadline() const { return deadline_; }
  double waited() const { return waited_; }  ///< seconds, at the last check()

 private:
  double deadline_;
  std::string what_;
  double waited_ = 0.0;
  double checked_ = 0.0;
};

/// The thread. It blocks all signals.
class Watchdog {
 public:
  /// Calls `expire` once, from its own thread, with one line, e.g. "rank 2 on node1 (process 4711) has been
  /// waiting for an answer of rank 0 since 14:02:11 UTC, longer than watchdog_seconds = 600". `expire` should
  /// end the process.
  Watchdog(std::string who, double deadline, std::function<void(const std::string&)> expire);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// Begins a wait for `what`, e.g. "an answer of rank 0"; ends the previous one.
  void watch(std::string what);
  /// `name`: of the setting, for the message; empty: watchdog_seconds.
  void set_deadline(double seconds, const std::string& name = {});
  /// Prints `line` once a wait has taken `seconds`.
  void set_reminder(double seconds, const std::string& line);
  /// The limit of a wait, the name of its setting, and the action when it is exceeded.
  struct Terms {
    double deadline = 0.0;  ///< seconds
    std::string name;       ///< empty: watchdog_seconds
    std::function<void(const std::string&)> expire;
  };
  /// Sets them, and returns the previous ones. The present wait starts again.
  Terms exchange(Terms terms);
  /// Replaces the action.
  void set_expire(std::function<void(const std::string&)> expire);

 private:
  void run();

  const std::string who_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool end_ = false;
  WaitLimit limit_;
  std::string limit_name_;
  double reminder_seconds_ = 0.0;
  std::string reminder_;  ///< empty: none, or it has been printed
  std::function<void(const std::string&)> expire_;
  SteadyClock clock_;
  std::thread thread_;  // last: it uses all of the above
};

/// A transport with a watchdog on its waits and on the work between them.
class WatchedTransport : public Transport {
 public:
  /// `peer`: the sender of the awaited messages, e.g. "rank 0".
  WatchedTransport(Transport& transport, Watchdog& watchdog, std::string peer)
      : transport_(transport), watchdog_(watchdog), peer_(std::move(peer)) {}

  int rank() const override { return transport_.rank(); }
  int size() const override { return transport_.size(); }
  void send(int to, const Frame& frame) override;
  std::optional<Received> receive(double timeout) override;
  bool flush(double timeout) override;
  void forget(int to) override { transport_.forget(to); }
  void recycle(std::string bytes) override { transport_.recycle(std::move(bytes)); }

  /// Whether the last receive() ended without a message.
  bool timed_out() const { return timed_out_; }

 private:
  Transport& transport_;
  Watchdog& watchdog_;
  std::string peer_;
  bool timed_out_ = false;
};

/// "rank 2 on node1 (process 4711)"; also works before MPI is initialised.
std::string this_rank();

}  // namespace outerloop::net
