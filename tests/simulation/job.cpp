#include "tests/simulation/job.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "common/base/error.h"
#include "common/rule/theta.h"
#include "worker/pulse.h"

namespace outerloop::simulation {
namespace {

constexpr double kTick = 0.1;                  // seconds between the coordinator's clock checks
constexpr double kLongest = 3000.0;            // virtual seconds of a whole job
constexpr std::int64_t kMostEvents = 5000000;  // of a whole job
constexpr std::size_t kMostBytes = 200000;     // of one message and lane: enough for φ of 64 streams
// Longest wait until a new worker has streams, or a leaving one is released: a worker that must hand over
// streams may be silent for a deadline.
constexpr double kLongestIdle = 2.0;          // virtual seconds, asynchronous
constexpr std::int64_t kMostIdleUpdates = 3;  // deterministic
constexpr double kLongWork = 1.25;            // deadlines
constexpr double kLatestEnd = 1.0;            // seconds between a death and the end of its connection

proto::WorkerMessage parsed(const net::Frame& frame) {
  proto::WorkerMessage message;
  if (!message.ParseFromString(frame.header)) throw Violation("a worker's message cannot be read");
  return message;
}

}  // namespace

evaluation::Evaluator make_evaluator(const Scenario& scenario, rule::Engine& engine) {
  evaluation::EvaluatorOptions options;
  options.inner_steps = 2;
  options.labelled_draws = 1;
  options.statistics_examples = 10;
  options.seed = scenario.seed;
  const std::vector<std::shared_ptr<const data::Dataset>> datasets(
      scenario.options.evaluation.datasets.size(), tests::toy_dataset());
  return evaluation::Evaluator(engine, tests::toy_tasks(scenario.seed).options(), datasets, options);
}

Job::Job(const Scenario& scenario, Saboteur* saboteur, bool trace)
    : scenario_(scenario),
      saboteur_(saboteur),
      trace_(trace),
      dice_(scenario.seed),
      leave_dice_(scenario.seed ^ 0x1eaf),
      presence_dice_(scenario.seed ^ 0xbea70),
      faults_left_(scenario.faults),
      engine_(scenario.parameters),
      tasks_(tests::toy_tasks(scenario.seed)),
      evaluator_(make_evaluator(scenario, engine_)),
      folder_(scenario.disk ? make_disk_folder() : make_memory_folder()) {}

void Job::say(const std::string& line) const {
  if (trace_) std::printf("%9.4f  %s\n", agenda_.now(), line.c_str());
}

bool Job::fault(double probability) {
  if (faults_left_ <= 0 || !dice_.happens(probability)) return false;
  --faults_left_;
  return true;
}

store::Checkpoint Job::first_checkpoint() const {
  store::Checkpoint start;
  start.rule.rule = "neuron_local";
  start.rule.layout = engine_.theta_layout();
  start.rule.theta = rule::initial_theta(engine_.theta_layout(), scenario_.seed);
  return start;
}

Report Job::run() {
  say(scenario_.description());
  for (bool done = false; !done;) {
    End end = End::died;
    try {
      auto start = folder_->read_latest();
      ++report_.starts;
      say(fmt::format("start {} from update {}", report_.starts, start ? start->rule.update : -1));
      ledger_.reset();
      if (!start) keep(first_checkpoint());
      end = serve(start ? *start : first_checkpoint());
    } catch (const Died&) {
      say("the coordinator dies");
    }
    done = end == End::stopped && coordinator_->stop_reason() == coordinator::StopReason::updates;
    // Without their coordinator the workers of a start end too, with all messages in flight.
    agenda_.clear();
    if (coordinator_) report_.workers_lost += coordinator_->workers_lost();
    if (!done) coordinator_.reset();
    workers_.clear();
    checked_losses_ = 0;
  }
  verify_end();
  report_.events = agenda_.events();
  report_.updates = coordinator_->update();
  report_.seconds = agenda_.now();
  return report_;
}

/// One start of the job, until the coordinator has stopped and written its last checkpoint. Throws Died.
Job::End Job::serve(const store::Checkpoint& start) {
  ledger_ = std::make_unique<Ledger>(scenario_, tasks_, evaluator_, start, best_,
                                     [this](const store::Checkpoint& checkpoint) { keep(checkpoint); });
  std::vector<int> numbers;
  const auto count = dice_.log_uniform(1, scenario_.most_workers);
  for (std::int64_t i = 0; i < count; ++i) numbers.push_back(start_worker());
  auto options = scenario_.options;
  options.best = best_;
  coordinator_ = std::make_unique<coordinator::Coordinator>(options, start, numbers, *ledger_, agenda_.now());
  ledger_->watch(*coordinator_);
  plan_tick();
  plan_joins();
  while (!coordinator_->finished()) {
    agenda_.step();
    check_bounds();
  }
  return finish();
}

Job::End Job::finish() {
  say(fmt::format("stopped at update {}: {}", coordinator_->update(),
                  coordinator::stop_reason_name(coordinator_->stop_reason())));
  const auto last = coordinator_->snapshot();
  ledger_->check_checkpoint(last);
  ledger_->check_end();
  best_ = coordinator_->best();
  report_.evaluations += ledger_->evaluations();
  report_.steps_back += ledger_->steps_back();
  keep(last);
  release_all();
  return End::stopped;
}

/// A worker that said farewell is released, and knows whether MPI can be finalised.
void Job::release_all() {
  for (const auto& answer : coordinator_->release()) {
    auto& worker = *workers_.at(answer.to);
    if (worker.machine.handle(net::encode(answer.frame), agenda_) ||
        worker.machine.may_finalize() != coordinator_->may_finalize())
      throw Violation(fmt::format("worker {} is not let go as it should be", answer.to));
  }
}

void Job::keep(store::Checkpoint checkpoint) {
  if (saboteur_ != nullptr) saboteur_->checkpoint(checkpoint);
  std::optional<Cut> cut;
  if (fault(scenario_.dies_while_writing)) {
    ++report_.cut_writes;
    const double at = dice_.happens(0.1) ? 1.0 : dice_.uniform();
    cut = Cut{at, dice_.happens(0.5)};
  }
  say(fmt::format("checkpoint of update {}{}", checkpoint.rule.update, cut ? ", cut" : ""));
  folder_->write(checkpoint, cut);
}

int Job::start_worker() {
  const int number = next_worker_++;
  const bool may_leave = scenario_.leaves > 0.0 && leave_dice_.happens(0.5);
  worker::WorkerOptions options{0.0, "virtual", number, 1e9, scenario_.options.deterministic, "", may_leave};
  options.prefetch = scenario_.prefetch;
  workers_[number] = std::make_unique<VirtualWorker>(
      worker::Worker(scenario_.context(engine_, tasks_), options, &evaluator_));
  workers_.at(number)->may_leave = may_leave;
  workers_.at(number)->connected = presence_dice_.happens(scenario_.connected);
  agenda_.at(agenda_.now() + dice_.uniform(0.0, scenario_.slowest_message), [this, number] {
    auto& worker = *workers_.at(number);
    if (worker.alive) send_up(number, worker.machine.hello());
  });
  return number;
}

void Job::plan_joins() {
  for (std::int64_t i = 0; i < scenario_.joins; ++i)
    agenda_.at(agenda_.now() + dice_.uniform(0.0, 0.5), [this] {
      say(fmt::format("worker {} joins", next_worker_));
      start_worker();
    });
}

void Job::plan_tick() {
  agenda_.at(agenda_.now() + kTick, [this] {
    const auto segment = coordinator_->segment();
    coordinator_->tick(agenda_.now());
    report_.rollbacks += coordinator_->segment() - segment;
    ledger_->check();
    check_losses();
    check_shares();
    plan_tick();
  });
}

void Job::kill(int number, bool with_message) {
  auto& worker = *workers_.at(number);
  if (!worker.alive) return;
  say(fmt::format("worker {} dies{}", number, with_message ? " with its message" : ""));
  worker.alive = false;
  if (with_message && worker.flying) *worker.flying = false;
  // Half of them are on the coordinator's host: their end is detected once their messages have arrived.
  if (number % 2 == 0)
    agenda_.at(agenda_.now() + scenario_.slowest_message, [this, number] {
      const auto segment = coordinator_->segment();
      coordinator_->process_ended(number, agenda_.now());
      report_.rollbacks += coordinator_->segment() - segment;
      ledger_->check();
    });
  // A connection ends at once, before messages in flight arrive; late; or never, if the host hangs.
  if (worker.connected && !presence_dice_.happens(0.1))
    end_connection(number, presence_dice_.happens(0.5) ? 0.0 : kLatestEnd, presence_dice_.happens(0.2));
  if (dice_.happens(scenario_.replaced))
    agenda_.at(agenda_.now() + dice_.uniform(0.0, 1.0), [this] {
      say(fmt::format("worker {} joins", next_worker_));
      start_worker();
    });
}

void Job::end_connection(int number, double latest, bool timed_out) {
  workers_.at(number)->connected = false;
  const double when = agenda_.now() + presence_dice_.uniform(0.0, latest);
  agenda_.at(when,
             [this, number, timed_out] { coordinator_->connection_ended(number, timed_out, agenda_.now()); });
}

/// Longer than the deadline, with progress messages: the worker must not count as lost. Messages without
/// progress have no effect.
void Job::work_long(int number, double& busy) {
  constexpr int kWords = 8;
  auto& worker = *workers_.at(number);
  const double all = kLongWork * scenario_.options.deadline;
  busy += all;
  worker.gets_on_until = agenda_.now() + busy;
  ++report_.long_works;
  for (int word = 1; word <= kWords; ++word)
    for (const std::int64_t step : {word, word - 1})
      agenda_.at(agenda_.now() + all * word / (kWords + 1), [this, number, step] {
        if (workers_.at(number)->alive) send_progress(number, step);
      });
}

void Job::send_progress(int number, std::int64_t step) {
  auto& worker = *workers_.at(number);
  const auto frame = worker.machine.progress(step);
  worker.last_up =
      std::max(worker.last_up, agenda_.now() + presence_dice_.uniform(0.0, scenario_.slowest_message));
  agenda_.at(worker.last_up, [this, number, frame] {
    ledger_->note_progress(number, parsed(frame));
    if (!coordinator_->handle(number, net::encode(frame), agenda_.now()).empty())
      throw Violation(fmt::format("progress of worker {} was answered", number));
    ledger_->check();
  });
}

/// A stream that travels ahead of the message that is answered. It may come from a worker that has died.
void Job::send_ahead(int number, net::Frame frame) {
  auto& worker = *workers_.at(number);
  auto message = parsed(frame);
  if (saboteur_ != nullptr && saboteur_->to_coordinator(message, frame.floats) == 0) return;
  if (message.streams_size() + message.given_up_size() != 1) throw Violation("not one stream travels ahead");
  frame.header = message.SerializeAsString();
  ++report_.streams_ahead;
  worker.last_up =
      std::max(worker.last_up, agenda_.now() + presence_dice_.uniform(0.0, scenario_.slowest_message));
  agenda_.at(worker.last_up, [this, number, bytes = net::encode(frame)] {
    const auto segment = coordinator_->segment();
    if (!coordinator_->handle(number, bytes, agenda_.now()).empty())
      throw Violation(fmt::format("a stream ahead of the message of worker {} was answered", number));
    report_.rollbacks += coordinator_->segment() - segment;
    ledger_->check();
  });
}

/// Worker to coordinator. The worker may die on the way, and its message with it.
void Job::send_up(int number, net::Frame frame) {
  auto& worker = *workers_.at(number);
  if (fault(scenario_.signal)) {
    worker.machine.signal();
    worker.interrupted = !worker.may_leave && presence_dice_.happens(scenario_.interrupted);
  }
  if (worker.may_leave && leave_dice_.happens(scenario_.leaves)) worker.machine.signal();
  auto message = parsed(frame);
  const int copies = saboteur_ == nullptr ? 1 : saboteur_->to_coordinator(message, frame.floats);
  frame.header = message.SerializeAsString();
  const auto bytes = std::make_shared<const std::string>(net::encode(frame));
  worker.flying = std::make_shared<bool>(true);
  take_off(worker, bytes->size());
  const double arrival = agenda_.now() + dice_.uniform(0.0, scenario_.slowest_message);
  worker.last_up = std::max(worker.last_up, arrival);
  for (int i = 0; i < copies; ++i)
    agenda_.at(worker.last_up, [this, number, bytes, flying = worker.flying] {
      if (*flying) arrive_up(number, *bytes);
    });
  if (fault(scenario_.worker_dies)) kill(number, dice_.happens(0.5));
}

void Job::arrive_up(int number, const std::string& bytes) {
  --workers_.at(number)->under_way;
  if (fault(scenario_.coordinator_dies)) throw Died{};
  const auto frame = net::decode(bytes);
  const auto message = parsed(frame);
  const auto segment = coordinator_->segment();
  if (message.has_hello()) {
    workers_.at(number)->joined = agenda_.now();
    workers_.at(number)->joined_at = coordinator_->update();
  }
  if (message.leaving()) note_leaving(*workers_.at(number));
  if (trace_ && !message.waiting())
    say(fmt::format("from {}: {}", number, message.ShortDebugString().substr(0, 160)));
  check_taken(number);
  ledger_->before(number, message, frame.floats);
  const auto answers = coordinator_->handle(number, bytes, agenda_.now());
  ledger_->after();
  check_leaving(number);
  report_.rollbacks += coordinator_->segment() - segment;
  for (const auto& answer : answers) {
    ledger_->answered(answer);
    auto& worker = *workers_.at(answer.to);
    if (!worker.alive) continue;
    const auto back = std::make_shared<const std::string>(sabotaged_down(answer.frame));
    take_off(worker, back->size());
    worker.last_down =
        std::max(worker.last_down, agenda_.now() + dice_.uniform(0.0, scenario_.slowest_message));
    agenda_.at(worker.last_down, [this, to = answer.to, back] { arrive_down(to, *back); });
  }
}

void Job::note_leaving(VirtualWorker& worker) const {
  if (worker.wants_to_leave) return;
  worker.wants_to_leave = true;
  worker.left_at = coordinator_->update();
  worker.left_since = agenda_.now();
}

std::string Job::sabotaged_down(const net::Frame& frame) {
  if (saboteur_ == nullptr) return net::encode(frame);
  proto::CoordinatorMessage message;
  if (!message.ParseFromString(frame.header)) throw Violation("an answer cannot be read");
  auto floats = frame.floats;
  saboteur_->to_worker(message, floats);
  return net::encode({message.SerializeAsString(), floats});
}

void Job::arrive_down(int number, const std::string& bytes) {
  auto& worker = *workers_.at(number);
  --worker.under_way;
  if (!worker.alive) return;
  if (fault(scenario_.worker_dies)) return kill(number, false);
  if (worker.interrupted) engine_.set_after_step([] { throw worker::Interrupted(); });
  auto next = worker.machine.handle(bytes, agenda_);
  engine_.set_after_step({});
  worker.interrupted = false;
  if (!next) {
    worker.alive = false;
    if (worker.connected) end_connection(number, kLatestEnd, false);
    return;
  }
  double busy = worker.machine.pause();
  if (busy == 0.0) busy = dice_.uniform(0.0, scenario_.slowest_truncation);
  if (worker.machine.pause() == 0.0 && presence_dice_.happens(scenario_.long_work)) work_long(number, busy);
  if (fault(scenario_.worker_stalls)) {
    busy += 3.0 * scenario_.options.deadline;
    worker.gets_on_until = 0.0;
  }
  agenda_.at(agenda_.now() + busy, [this, number, frame = *std::move(next)] {
    auto& sender = *workers_.at(number);
    if (!sender.alive) return;
    if (fault(scenario_.worker_dies)) return kill(number, false);
    for (const auto& ahead : sender.machine.take_ahead()) send_ahead(number, ahead);
    send_up(number, frame);
  });
}

/// Queued bytes stay bounded: a worker has one message or one answer in flight, of bounded size.
void Job::take_off(VirtualWorker& worker, std::size_t bytes) const {
  if (++worker.under_way > 1) throw Violation("two messages between one worker and the coordinator");
  if (bytes > kMostBytes * static_cast<std::size_t>(scenario_.options.group))
    throw Violation(fmt::format("a message of {} bytes", bytes));
}

/// Other quantities that must stay bounded: time, events, waiting gradients.
void Job::check_bounds() const {
  if (agenda_.now() > kLongest || agenda_.events() > kMostEvents)
    throw Violation(fmt::format("no end after {:.0f} virtual seconds and {} events, at update {}",
                                agenda_.now(), agenda_.events(), coordinator_->update()));
  if (coordinator_->pending() > scenario_.options.batch)
    throw Violation("more waiting gradients than a batch");
  // At most one begins with each gradient that was under way when one began, and each other one has a piece
  // at a worker.
  if (coordinator_->evaluations().under_way() > 2 * coordinator_->membership().members().size() + 1)
    throw Violation("more evaluations under way than workers can be at");
}

/// A worker that wants to leave and has no streams must be released with its next message.
void Job::check_leaving(int number) const {
  const auto& member = coordinator_->membership().members().at(number);
  if (workers_.at(number)->wants_to_leave && member.active() && member.streams.empty() &&
      !coordinator_->stopping())
    throw Violation(fmt::format("worker {} wants to leave and has no streams, but is not let go", number));
}

/// No worker stays without streams for long while another has two, and no leaving worker keeps its streams
/// for long.
void Job::check_shares() const {
  if (coordinator_->stopping()) return;
  const auto& members = coordinator_->membership().members();
  const bool spare = std::any_of(members.begin(), members.end(), [](const auto& entry) {
    return entry.second.active() && entry.second.streams.size() >= 2;
  });
  for (const auto& [number, member] : members) {
    const auto& worker = *workers_.at(number);
    const bool stuck =
        worker.wants_to_leave && member.active() && !member.streams.empty() &&
        (scenario_.options.deterministic ? coordinator_->update() >= worker.left_at + kMostIdleUpdates
                                         : agenda_.now() > worker.left_since + kLongestIdle);
    if (stuck) throw Violation(fmt::format("worker {} wants to leave, and keeps its streams", number));
    if (!spare || !member.staying() || !member.streams.empty()) continue;
    const bool late = scenario_.options.deterministic
                          ? coordinator_->update() >= worker.joined_at + kMostIdleUpdates
                          : agenda_.now() > worker.joined + kLongestIdle;
    if (late) throw Violation(fmt::format("worker {} has joined, but has no streams", number));
  }
}

/// Neither a lost connection nor the deadline may count a live worker that makes progress as lost.
void Job::check_losses() {
  const auto& losses = coordinator_->losses();
  for (; checked_losses_ < losses.size(); ++checked_losses_) {
    const auto& loss = losses[checked_losses_];
    const auto& worker = *workers_.at(loss.worker);
    const bool connection = loss.noticed_by == coordinator::NoticedBy::connection;
    if (connection || loss.noticed_by == coordinator::NoticedBy::keep_alive) ++report_.connections_ended;
    if (connection && worker.alive)
      throw Violation(fmt::format("worker {} lives, but counts as ended", loss.worker));
    const bool gets_on = worker.alive && agenda_.now() < worker.gets_on_until;
    if (loss.noticed_by == coordinator::NoticedBy::deadline && gets_on)
      throw Violation(fmt::format("worker {} gets on, but is lost by its deadline", loss.worker));
  }
}

/// A message in flight when its sender's connection ended is processed before the sender is given up.
void Job::check_taken(int number) const {
  for (const auto& loss : coordinator_->losses())
    if (loss.worker == number && (loss.noticed_by == coordinator::NoticedBy::connection ||
                                  loss.noticed_by == coordinator::NoticedBy::keep_alive))
      throw Violation(fmt::format("worker {} was given up before its last message came", number));
}

void Job::verify_end() {
  const auto last = folder_->read_latest();
  if (!last) throw Violation("the run has ended, but no checkpoint can be read");
  if (last->rule.update != scenario_.options.updates)
    throw Violation(fmt::format("the last checkpoint is of update {}", last->rule.update));
  if (scenario_.options.deterministic && last->rule.theta != plain_loop(scenario_))
    throw Violation("θ at the end has other bits than those of a plain loop over the streams");
}

}  // namespace outerloop::simulation
