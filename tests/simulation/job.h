#pragma once
// Simulation of a whole run in one process: the real coordinator and workers, with virtual messages and
// virtual time.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/coordinator.h"
#include "tests/simulation/agenda.h"
#include "tests/simulation/engine.h"
#include "tests/simulation/folder.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/scenario.h"
#include "worker/worker.h"

namespace outerloop::simulation {

/// Plants a bug, so that the simulation itself can be tested.
class Saboteur {
 public:
  virtual ~Saboteur() = default;
  /// May change a message in flight to the coordinator; returns how often it arrives.
  virtual int to_coordinator(proto::WorkerMessage&, std::vector<float>&) { return 1; }
  virtual void to_worker(proto::CoordinatorMessage&, std::vector<float>&) {}
  /// May change a checkpoint before it is written.
  virtual void checkpoint(store::Checkpoint&) {}
};

/// Event counts for the summary.
struct Report {
  std::int64_t events = 0;
  std::int64_t updates = 0;
  std::int64_t starts = 0;  ///< of the coordinator
  std::int64_t workers_lost = 0;
  std::int64_t rollbacks = 0;
  std::int64_t cut_writes = 0;
  std::int64_t evaluations = 0;
  std::int64_t steps_back = 0;
  std::int64_t connections_ended = 0;  ///< that told of a loss
  std::int64_t streams_ahead = 0;      ///< that travelled in messages of their own
  std::int64_t long_works = 0;
  double seconds = 0.0;  ///< virtual
};

class Job {
 public:
  explicit Job(const Scenario& scenario, Saboteur* saboteur = nullptr, bool trace = false);

  /// Runs until all updates are made, through all deaths. Throws Violation.
  Report run();

 private:
  struct VirtualWorker {
    explicit VirtualWorker(worker::Worker m) : machine(std::move(m)) {}
    worker::Worker machine;
    bool alive = true;
    bool stopped = false;          ///< by a graceful shutdown
    double last_up = 0.0;          ///< arrival of its newest message; order within a pair is kept
    double last_down = 0.0;        ///< the same for the newest answer
    std::shared_ptr<bool> flying;  ///< cleared if a message is lost with its sender
    double joined = 0.0;
    std::int64_t joined_at = 0;   ///< update
    bool may_leave = false;       ///< a signal makes it leave
    bool wants_to_leave = false;  ///< and has announced it
    std::int64_t left_at = 0;     ///< update
    double left_since = 0.0;
    int under_way = 0;         ///< messages and answers between it and the coordinator
    bool connected = false;    ///< holds a silent connection
    bool interrupted = false;  ///< a signal ends the computing of its next answer
    double gets_on_until = 0.0;
  };
  enum class End { died, stopped };

  store::Checkpoint first_checkpoint() const;
  End serve(const store::Checkpoint& start);
  End finish();
  void release_all();
  void keep(store::Checkpoint checkpoint);
  int start_worker();
  void plan_joins();
  void plan_tick();
  void send_up(int number, net::Frame frame);
  void arrive_up(int number, const std::string& bytes);
  void arrive_down(int number, const std::string& bytes);
  void note_leaving(VirtualWorker& worker) const;
  std::string sabotaged_down(const net::Frame& frame);
  void take_off(VirtualWorker& worker, std::size_t bytes) const;
  void kill(int number, bool with_message);
  void end_connection(int number, double latest, bool timed_out);
  void work_long(int number, double& busy);
  void send_ahead(int number, net::Frame frame);
  void send_progress(int number, std::int64_t step);
  void check_losses();
  void check_taken(int number) const;
  void check_bounds() const;
  void check_leaving(int number) const;
  void check_shares() const;
  void verify_end();
  bool fault(double probability);
  void say(const std::string& line) const;

  const Scenario& scenario_;
  Saboteur* saboteur_;
  bool trace_;
  Dice dice_;
  Dice leave_dice_;     ///< separate, so that other draws of a seed do not change
  Dice presence_dice_;  ///< separate for the same reason
  std::int64_t faults_left_;
  Engine engine_;
  data::TaskDistribution tasks_;
  evaluation::Evaluator evaluator_;
  std::optional<coordinator::BestRule> best_;  ///< over all starts, as in a run directory
  std::unique_ptr<Folder> folder_;
  Agenda agenda_;
  std::map<int, std::unique_ptr<VirtualWorker>> workers_;
  std::size_t checked_losses_ = 0;
  int next_worker_ = 1;
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<coordinator::Coordinator> coordinator_;
  Report report_;
};

/// One for each of the scenario's datasets.
evaluation::Evaluator make_evaluator(const Scenario& scenario, rule::Engine& engine);

/// θ after `updates` of a deterministic run, computed from the definition: a plain loop over streams.
std::vector<double> plain_loop(const Scenario& scenario);

}  // namespace outerloop::simulation
