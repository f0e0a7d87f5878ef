#pragma once
// Detects the end of another process of this host by a descriptor that the kernel gives of it (Linux's
// pidfd_open), which no later process of the same number can be mistaken for.
#include <list>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace outerloop::net {

/// The executable of this process. Throws Error where /proc does not say.
std::string this_program();

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
  /// It has ended, whether or not its parent has taken notice.
  bool ended() const;

 private:
  int descriptor_ = -1;
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
