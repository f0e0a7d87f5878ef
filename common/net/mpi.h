#pragma once
// MPI session and transport. Everything is point to point, the start included.
// common/net is the only folder that knows MPI.
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

/// MPI_Init and MPI_Finalize. One per process. A process that no launcher (mpirun, srun) started is alone: it
/// is rank 0 of 1 without MPI, which would take a third of a second and a daemon to find that out.
class MpiSession {
 public:
  /// Throws Error with MPI's own text.
  MpiSession(int* argc, char*** argv);
  /// Finalises, unless abandon() was called.
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  /// Number of this rank among those on its host, and how many those are.
  int local_rank() const { return local_rank_; }
  int local_size() const { return local_size_; }
  std::string host() const;
  static std::string library_version();
  /// Whether processes of different launches can connect to each other, here and as this one was launched;
  /// else `why` says what is missing.
  static bool can_connect(std::string& why);
  /// Whether another process of the job started this one (MpiTransport::spawn); its ranks are its own then.
  bool spawned() const { return spawned_; }

  /// A rank that waits looks again after this at the latest: later, where ranks share cores.
  std::chrono::microseconds longest_sleep() const { return longest_sleep_; }

  /// Start-up: every rank gets rank 0's text. Waits for all ranks.
  std::string broadcast(const std::string& text) const;

  /// Start-up: every rank gets all ranks' texts, by rank. Waits for all ranks.
  std::vector<std::string> gather_all(const std::string& text) const;

  /// What these two do again and again while they wait, e.g. to see whether the others are still there. What
  /// it throws ends the waiting.
  void set_while_waiting(std::function<void()> act) { while_waiting_ = std::move(act); }

  /// Whether a launcher started this process, by the environment that Open MPI's, PMIx's and PMI's leave.
  static bool launched();

  /// After a rank was lost: the destructor no longer finalises, since MPI_Finalize could wait for ever.
  void abandon() { abandoned_ = true; }

  /// Ends the whole job at once; from any thread. This process is gone after ten seconds at the latest.
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

/// Frames over MPI_COMM_WORLD, and to processes that were spawned. In such a process number 0 is the one that
/// started it. Needs a session that a launcher started.
class MpiTransport : public Transport {
 public:
  /// `tag`: transports of different ones do not see each other's frames.
  explicit MpiTransport(const MpiSession& session, int tag = 1);
  /// To the process of another launch that `port` is of, as number 0, which must be in accept_one() or come
  /// to it. Throws Error.
  MpiTransport(const MpiSession& session, const std::string& port);
  ~MpiTransport() override;
  int rank() const override { return session_.rank(); }
  int size() const override { return session_.size(); }
  void send(int to, const Frame& frame) override;
  std::optional<Received> receive(double timeout) override;
  bool flush(double timeout) override;
  void forget(int to) override;
  void recycle(std::string bytes) override;

  /// From now on a message of more bytes is left where it is, and receive() reports its length alone. It can
  /// be neither refused nor cancelled, so MPI_Finalize would wait for it.
  void set_most_bytes(std::int64_t bytes) { most_bytes_ = bytes; }

  /// Most characters of a process's `environment`.
  static constexpr std::size_t kMostEnvironment = 255;

  /// Starts `program` as one more process of this job and returns its number, from size() on. `environment`:
  /// "NAME=VALUE" that it finds in its own, or nothing. Waits until it has begun MPI. Throws Error where MPI
  /// cannot.
  int spawn(const std::string& program, const std::vector<std::string>& arguments,
            const std::string& environment = {});

  /// Where processes of other launches can connect to. Throws Error where MPI cannot.
  static std::string open_port();
  /// Waits until one does, and returns its number, from size() on.
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
  bool in_world_ = true;                      ///< reaches the ranks of MPI_COMM_WORLD
  std::vector<std::unique_ptr<Peer>> peers_;  ///< with a communicator of their own
  std::map<int, Transfers> sending_;          ///< by receiver, in the order of their beginning
  Transfers receiving_;                       ///< likewise
  std::vector<Received> oversize_;            ///< to be reported
  std::vector<std::string> spare_;            ///< memory for frames to come
};

}  // namespace outerloop::net
