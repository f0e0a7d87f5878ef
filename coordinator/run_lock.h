#pragma once
// The lock of a run directory, RUN/lock: one process at a time writes a run, whatever host it is on.
//
// The file holds host, process, boot id and a counter that the owner rewrites every 5 s; the owner holds
// flock on it where the file system has that. Who is there already is decided so:
// - same boot id and process namespace: the process lives, or does not;
// - same boot id, another namespace (a container): flock says it, where the owner has it;
// - another host, or no flock: the owner lives if the counter moves within 20 s. Clocks are not compared.
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

/// What the file says of who has the lock.
struct LockOwner {
  std::string host;
  std::int64_t process = 0;
  std::string boot;          ///< boot id of the host; empty: not known
  std::string space;         ///< process namespace
  std::int64_t started = 0;  ///< clock ticks from boot to the process's start; 0: not known
  std::string token;         ///< tells two owners apart in whom all else is equal
  bool locked = false;       ///< holds flock on the file
  std::int64_t counter = 0;  ///< grows while the owner lives

  /// "process 4711 on node1".
  std::string name() const;
};

/// This process, with a new token.
LockOwner this_owner();

/// What a lock needs of the world.
struct LockSurroundings {
  LockOwner self;
  std::function<double()> now;                          ///< seconds
  std::function<void(double)> pause;                    ///< waits so many seconds
  std::function<int(int descriptor)> flock;             ///< takes it without waiting; 0 or an errno
  std::function<bool(const LockOwner&)> process_lives;  ///< of this boot and process namespace
  std::function<void(const std::string&)> say;          ///< one line for the user
};

/// This process on this machine.
LockSurroundings real_surroundings();

class RunLock {
 public:
  /// Takes the lock of the run in `directory`, which exists. Throws InputError that names the process that
  /// has it; Error where the file cannot be written. Waits up to half a minute for a sign of life of a
  /// process that cannot be seen from here.
  RunLock(const std::string& directory, LockSurroundings surroundings);
  /// Removes the file, if it is still this one's.
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  /// The process that holds the lock of `directory` for sure, as far as can be said without waiting.
  static std::optional<LockOwner> known_owner(const std::string& directory,
                                              const LockSurroundings& surroundings);

  /// Rewrites the counter, if the file is still this one's. Every kBeatSeconds; from any thread.
  void beat();
  static constexpr double kBeatSeconds = 5.0;

  enum class State { mine, missing, taken };
  /// What the file says now; `owner` gets who has it where it was taken.
  State state(LockOwner& owner) const;
  /// After the file has gone: makes it anew. Returns whether nobody else was quicker.
  bool renew();
  /// Gives the lock back now.
  void release();

 private:
  enum class Step { taken, again };
  Step try_to_create();
  Step try_to_take();
  Step take_over(const std::string& seen, bool with_flock);
  bool wait_for_record(bool held, std::string& record);
  void wait_for_life(const std::string& record, const std::optional<LockOwner>& owner);
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

/// A lock with a thread that rewrites its counter. The thread takes no signals.
class HeldLock {
 public:
  explicit HeldLock(const std::string& directory);
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
