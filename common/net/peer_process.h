#pragma once
// Detects the end of another process of this host by a descriptor that the kernel gives of it (Linux's
// pidfd_open), which no later process of the same number can be mistaken for.
#include <cstdint>
#include <list>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace outerloop::net {

/// The executable of this process, as it was when this object was made. An upgrade or a build replaces the
/// file while the run goes on, and MPI never returns from starting a program that is not there.
class ProgramFile {
 public:
  /// Throws Error where /proc does not say which it is.
  ProgramFile();
  const std::string& path() const { return path_; }
  /// Throws Error where the file is gone or another by now.
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
  /// Where this process is, for others to watch it by: the boot of its host, its process namespace, its
  /// number.
  static std::string here();

  /// `where` is another process's here(); it lives at this moment. One that cannot be seen from here, on
  /// another host or in another container, never counts as ended.
  explicit PeerProcess(const std::string& where);
  ~PeerProcess();
  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;

  bool watched() const { return descriptor_ >= 0; }
  /// Kills it where it is stopped (SIGSTOP), as no other signal would reach it.
  void end_if_stopped() const;
  /// It has ended, whether or not its parent has taken notice.
  bool ended() const;

 private:
  int descriptor_ = -1;
  int number_ = 0;
};

/// Those of a job's ranks that can be watched from here.
class PeerProcesses {
 public:
  /// `process_ids` has every rank's here(), by rank. Rank 0, which watches, is left out.
  explicit PeerProcesses(const std::vector<std::string>& process_ids);

  /// Also watches the process `where`, of number `rank`, unless that one is known already.
  void watch(int rank, const std::string& where);

  /// Ranks whose processes have been seen as ended for a second, each told once: what they had sent before
  /// has been received by now, where messages are received all the time. `now` in seconds.
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
