#pragma once
// The lock of a run directory, RUN/lock: one process at a time writes a run, on whatever host.
//
// The file holds host, process, boot id and a counter that the owner rewrites every 5 s. The owner holds
// flock on it if the file system supports that. Whether a present owner is alive:
// - same boot id and process namespace: the kernel knows the process;
// - same boot id, another namespace (a container): flock decides, if the owner has it;
// - another host, or no flock: alive if the counter changes within 20 s. Clocks are not compared.
// On network file systems flock may outlive a crashed host, so it never decides about another host's process.
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "common/store/atomic_file.h"

namespace outerloop::coordinator {

/// Contents of the lock file: the owner.
struct LockOwner {
  std::string host;
  std::int64_t process = 0;
  std::string boot;          ///< boot id of the host; empty: unknown
  std::string space;         ///< process namespace
  std::int64_t started = 0;  ///< clock ticks from boot to the process's start; 0: unknown
  std::string token;         ///< distinguishes owners that are otherwise equal
  bool locked = false;       ///< the owner holds flock on the file
  std::int64_t counter = 0;  ///< grows while the owner lives

  /// "process 4711 on node1".
  std::string name() const;
};

/// This process, with a new token.
LockOwner this_owner();

/// The system calls of a lock, replaceable in tests.
struct LockSurroundings {
  LockOwner self;
  std::function<double()> now;                          ///< seconds
  std::function<void(double)> pause;                    ///< waits for this many seconds
  std::function<int(int descriptor)> flock;             ///< non-blocking; returns 0 or an errno
  std::function<bool(const LockOwner&)> process_lives;  ///< of the same boot and process namespace
  std::function<void(const std::string&)> say;          ///< one line for the user
  std::function<bool()> stop_requested;                 ///< a signal has arrived; may be empty
};

/// This process on this machine.
LockSurroundings real_surroundings(std::function<bool()> stop_requested = {});

class RunLock {
 public:
  /// Takes the lock of the run in `directory`, which must exist. Throws InputError that names the owner if
  /// there is one, or the file if it cannot be a lock. Throws Error if the file cannot be written. Waits up
  /// to half a minute for a sign of life of an owner that is not visible from here; a signal ends the wait
  /// with an Error.
  RunLock(const std::string& directory, LockSurroundings surroundings);
  /// Removes the file, if this process still owns it.
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  /// The process that certainly holds the lock of `directory`; does not wait, so it may miss an owner.
  static std::optional<LockOwner> known_owner(const std::string& directory,
                                              const LockSurroundings& surroundings);

  /// Rewrites the counter, if this process still owns the file. Call it every kBeatSeconds, from any thread.
  void beat();
  static constexpr double kBeatSeconds = 5.0;

  enum class State { mine, missing, taken, unreadable };
  /// The present state of the file; `owner` gets the owner if it was taken, `code` the errno if it is
  /// unreadable.
  State state(LockOwner& owner, int* code = nullptr) const;
  /// Recreates a missing file. Returns false if another process was quicker.
  bool renew();
  /// Releases the lock.
  void release();

 private:
  enum class Step { taken, again };
  Step try_to_create();
  Step try_to_take();
  Step take_over(const std::string& seen, bool with_flock);
  bool wait_for_record(bool held, std::string& record);
  void wait_for_life(const std::string& record, const std::optional<LockOwner>& owner);
  void obey_signals() const;
  bool says_mine() const;
  bool is_file_of(const store::Descriptor& file) const;
  int write_record();
  [[noreturn]] void refuse(const std::optional<LockOwner>& owner) const;

  std::string directory_;
  std::string path_;
  LockSurroundings surroundings_;
  mutable std::mutex mutex_;
  store::Descriptor file_;
  bool held_ = false;
};

/// A lock with a thread that rewrites its counter. The thread blocks all signals.
class HeldLock {
 public:
  /// `stop_requested`: whether a signal asks to end the wait for the lock.
  explicit HeldLock(const std::string& directory, std::function<bool()> stop_requested = {});
  ~HeldLock();
  HeldLock(const HeldLock&) = delete;
  HeldLock& operator=(const HeldLock&) = delete;

  RunLock& lock() { return lock_; }

 private:
  RunLock lock_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool end_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace outerloop::coordinator
