#pragma once
// MPI session and transport. All communication is point to point, the start included. common/net is the only
// folder that uses MPI.
#include <chrono>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/net/start_exchange.h"
#include "common/net/transport.h"

namespace outerloop::net {

/// MPI_Init and MPI_Finalize. One per process. Without a launcher (mpirun, srun), the process is rank 0 of 1
/// and MPI is not initialised, which would take a third of a second and a daemon.
class MpiSession {
 public:
  /// Throws Error with MPI's own text.
  MpiSession(int* argc, char*** argv);
  /// Calls MPI_Finalize, unless abandon() was called.
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  /// Number of this rank among those on its host, and their number.
  int local_rank() const { return local_rank_; }
  int local_size() const { return local_size_; }
  std::string host() const;
  static std::string library_version();
  /// Whether processes of different launches can connect to each other in this environment. If not, `why`
  /// gets the reason.
  static bool can_connect(std::string& why);
  /// Whether another process of the job started this one (MpiTransport::spawn). Its ranks are then its own.
  bool spawned() const { return spawned_; }

  /// Longest sleep between two polls of a waiting rank; longer where ranks share cores.
  std::chrono::microseconds longest_sleep() const { return longest_sleep_; }

  /// Start-up: returns rank 0's text on every rank. Waits for all ranks.
  std::string broadcast(const std::string& text) const;

  /// Start-up: returns all ranks' texts, by rank. Waits for all ranks.
  std::vector<std::string> gather_all(const std::string& text) const;

  /// A function that these two call repeatedly while they wait, e.g. to check that the others still exist. An
  /// exception from it ends the wait.
  void set_while_waiting(std::function<void()> act) { while_waiting_ = std::move(act); }

  /// Whether a launcher started this process, judging by the environment variables of Open MPI, PMIx and PMI.
  static bool launched();

  /// Call it after the loss of a rank: the destructor then omits MPI_Finalize, which could hang.
  void abandon() { abandoned_ = true; }

  /// Ends the whole job at once; from any thread. This process ends after ten seconds at the latest.
  [[noreturn]] static void abort(int exit_code);

 private:
  bool local_ranks_by_launcher();
  void find_local_ranks();
  void wait_until(const std::function<bool()>& done) const;

  int rank_ = 0;
  int size_ = 1;
  int local_rank_ = 0;
  int local_size_ = 1;
  bool abandoned_ = false;
  bool initialized_ = false;
  bool spawned_ = false;
  std::chrono::microseconds longest_sleep_{1000};
  std::function<void()> while_waiting_;
  std::unique_ptr<StartExchange> exchange_;
};

/// Frames over MPI_COMM_WORLD and to spawned processes. In a spawned process, number 0 is its parent.
/// Requires a session that a launcher started.
class MpiTransport : public Transport {
 public:
  /// `tag`: transports with different tags do not receive each other's frames.
  explicit MpiTransport(const MpiSession& session, int tag = 1);
  /// Connects to the process of another launch that opened `port`, as number 0. That process must call
  /// accept_one(). Throws Error.
  MpiTransport(const MpiSession& session, const std::string& port);
  ~MpiTransport() override;
  int rank() const override { return session_.rank(); }
  int size() const override { return session_.size(); }
  void send(int to, const Frame& frame) override;
  std::optional<Received> receive(double timeout) override;
  bool flush(double timeout) override;
  void forget(int to) override;
  void recycle(std::string bytes) override;

  /// From now on, receive() reports only the length of a message of more bytes and leaves it in MPI. Such a
  /// message cannot be refused or cancelled, so MPI_Finalize would wait for it.
  void set_most_bytes(std::int64_t bytes) { most_bytes_ = bytes; }

  /// Longest `environment` of spawn(), in characters.
  static constexpr std::size_t kMostEnvironment = 255;

  /// Starts `program` as one more process of this job and returns its number, from size() on. `environment`:
  /// "NAME=VALUE" to add to its environment, or nothing. Waits until it has initialised MPI. Throws Error if
  /// MPI cannot start it.
  int spawn(const std::string& program, const std::vector<std::string>& arguments,
            const std::string& environment = {});

  /// Opens a port for processes of other launches and returns its name. Throws Error if MPI cannot.
  static std::string open_port();
  /// Waits until one connects, and returns its number, from size() on.
  int accept_one(const std::string& port);

 private:
  struct Transfer;
  struct Peer;
  const Peer& peer(int number) const;
  int add_peer(std::unique_ptr<Peer> peer);
  void accept_from(const Peer& peer);
  using Transfers = std::list<std::unique_ptr<Transfer>>;
  void progress();
  void accept();
  std::string spare(std::size_t size);
  std::optional<Received> poll();

  const MpiSession& session_;
  int tag_ = 1;
  std::int64_t most_bytes_ = kMaximumFrameBytes;
  bool in_world_ = true;                      ///< can reach the ranks of MPI_COMM_WORLD
  std::vector<std::unique_ptr<Peer>> peers_;  ///< those with a communicator of their own
  std::map<int, Transfers> sending_;          ///< by receiver, in order of their start
  Transfers receiving_;                       ///< in order of their start
  std::vector<Received> oversize_;            ///< not reported yet
  std::vector<std::string> spare_;            ///< buffers for reuse
};

}  // namespace outerloop::net
