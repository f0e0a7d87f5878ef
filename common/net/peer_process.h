#pragma once
// Detects the end of another process on this host by a kernel descriptor (Linux's pidfd_open). A later
// process with the same number cannot be mistaken for it.
#include <cstdint>
#include <list>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace outerloop::net {

/// The executable of this process, at the time when this object was made. An upgrade or a build may replace
/// the file during the run, and MPI hangs when it starts a missing program.
class ProgramFile {
 public:
  /// Throws Error if /proc does not name the executable.
  ProgramFile();
  const std::string& path() const { return path_; }
  /// Throws Error if the file is missing or has changed.
  void check_unchanged() const;

 private:
  struct Identity {
    std::uint64_t device = 0, number = 0;
    std::int64_t bytes = 0, seconds = 0, nanoseconds = 0;  ///< size and time of its last change
    bool operator==(const Identity& other) const {
      return device == other.device && number == other.number && bytes == other.bytes &&
             seconds == other.seconds && nanoseconds == other.nanoseconds;
    }
  };
  static std::optional<Identity> identity_of(const std::string& path);

  std::string path_;
  Identity identity_;
};

class PeerProcess {
 public:
  /// Identifies this process for others on its host: boot id, process namespace, process number.
  static std::string here();

  /// `where`: here() of a process that is alive now. A process that is not visible from here, on another host
  /// or in another container, never counts as ended.
  explicit PeerProcess(const std::string& where);
  ~PeerProcess();
  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;

  bool watched() const { return descriptor_ >= 0; }
  /// Kills it if it is stopped (SIGSTOP), because no other signal would reach it.
  void end_if_stopped() const;
  /// Whether it has ended; its parent need not have waited for it.
  bool ended() const;

 private:
  int descriptor_ = -1;
  int number_ = 0;
};

/// The ranks of a job that can be watched from this host.
class PeerProcesses {
 public:
  /// `process_ids`: here() of every rank, by rank. Rank 0 watches and is left out.
  explicit PeerProcesses(const std::vector<std::string>& process_ids);

  /// Also watches the process `where` of rank `rank`, unless that rank is already known.
  void watch(int rank, const std::string& where);

  /// Ranks whose processes ended at least a second ago, each returned once. By then all their messages have
  /// been received, provided that messages are received continuously. `now` in seconds.
  std::vector<int> ended(double now);

 private:
  struct Watched {
    Watched(int r, const std::string& where) : rank(r), process(where) {}
    int rank;
    PeerProcess process;
    std::optional<double> ended_at;
  };
  std::list<Watched> watched_;
  std::set<int> known_;
};

}  // namespace outerloop::net
