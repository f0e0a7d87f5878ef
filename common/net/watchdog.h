#pragma once
// Watchdog thread: after watchdog_seconds it prints what this rank has been waiting for and since when, and
// ends the rank, also where the main thread is stuck inside MPI, a file system or a driver.
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "common/net/transport.h"

namespace outerloop::net {

/// When a wait is too long. Knows no thread and no clock.
class WaitLimit {
 public:
  /// `deadline`: seconds.
  explicit WaitLimit(double deadline) : deadline_(deadline) {}

  /// From now on the rank waits for `what`.
  void begin(std::string what, double now);
  void begin_anew(double now) { begin(std::move(what_), now); }
  void set_deadline(double deadline) { deadline_ = deadline; }

  struct Overdue {
    std::string what;
    double waited = 0.0;  ///< seconds
  };
  /// To be called about once a second. Longer pauses between calls are not counted: then the whole process
  /// was stopped, or its machine was, and the others were not waited for.
  std::optional<Overdue> check(double now);

  double deadline() const { return deadline_; }
  double waited() const { return waited_; }  ///< seconds, at the last check()

 private:
  double deadline_;
  std::string what_;
  double waited_ = 0.0;
  double checked_ = 0.0;
};

/// The thread. It takes no signals.
class Watchdog {
 public:
  /// Calls `expire` with one line, e.g. "rank 2 on node1 (process 4711) has been waiting for an answer of
  /// rank 0 since 14:02:11 UTC, longer than watchdog_seconds = 600", in its own thread, once; it is expected
  /// to end the process.
  Watchdog(std::string who, double deadline, std::function<void(const std::string&)> expire);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// From now on this rank waits for `what`, e.g. "an answer of rank 0"; the wait before it has ended.
  void watch(std::string what);
  /// `name`: of the setting, for the line; empty: watchdog_seconds.
  void set_deadline(double seconds, const std::string& name = {});
  /// Prints the line once a wait has taken so many seconds.
  void set_reminder(double seconds, const std::string& line);
  /// How long a wait may take, the setting that says so, and what becomes of the process then.
  struct Terms {
    double deadline = 0.0;  ///< seconds
    std::string name;       ///< empty: watchdog_seconds
    std::function<void(const std::string&)> expire;
  };
  /// Sets them, and returns those before. The present wait begins anew.
  Terms exchange(Terms terms);
  /// What becomes of the process, from now on.
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

/// A transport whose waits, and the work between them, are watched.
class WatchedTransport : public Transport {
 public:
  /// `peer`: whose messages are waited for, e.g. "rank 0".
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

/// "rank 2 on node1 (process 4711)"; rank and host as this process knows them, also before MPI is there.
std::string this_rank();

}  // namespace outerloop::net
