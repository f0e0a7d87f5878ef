// outerloop bench coordinator: the real coordinator with simulated workers, compared with the bare exchange
// of the same bytes.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "cli/bench/benchmarks.h"
#include "cli/bench/machine.h"
#include "cli/bench/measure.h"
#include "cli/bench/senders.h"
#include "cli/support/launcher.h"
#include "common/base/cores.h"
#include "common/base/error.h"
#include "common/base/standard_streams.h"
#include "common/net/bare_exchange.h"
#include "common/net/peer_process.h"
#include "common/net/watchdog.h"
#include "common/store/atomic_file.h"
#include "coordinator/event_loop.h"
#include "outerloop/config.pb.h"

namespace outerloop::cli {
namespace {

using coordinator::Part;
using nlohmann::json;

constexpr double kLongestPause = 600.0;  // longest wait of a rank for another, in seconds
constexpr const char* kPartNames[coordinator::kParts] = {"receive", "sum", "adam", "send", "rest"};

double seconds_now() { return net::SteadyClock().now(); }

/// Seconds by part of the work, counted from the first reset() on.
class PartSeconds final : public coordinator::Profiler {
 public:
  void enter(Part part) override {
    const double now = seconds_now();
    seconds_[static_cast<std::size_t>(now_)] += now - since_;
    now_ = part;
    since_ = now;
  }
  void reset() {
    seconds_.fill(0.0);
    since_ = seconds_now();
  }
  std::array<double, coordinator::kParts> take() {
    enter(now_);
    return seconds_;
  }

 private:
  std::array<double, coordinator::kParts> seconds_{};
  Part now_ = Part::rest;
  double since_ = seconds_now();
};

/// Result of one measurement of the coordinator, from the update that ended the warm-up to the last.
struct Cycle {
  std::int64_t gradients = 0;
  double seconds = 0.0;
  std::array<double, coordinator::kParts> parts{};
  std::map<std::int64_t, std::int64_t> staleness;  ///< gradients by staleness in updates

  double rate() const { return static_cast<double>(gradients) / seconds; }
};

/// Measures the time after a warm-up of some updates.
class Watcher final : public coordinator::Observer {
 public:
  Watcher(PartSeconds& parts, std::int64_t warm_up_gradients) : parts_(parts), warm_up_(warm_up_gradients) {}

  void on_update(const coordinator::UpdateRecord& record) override {
    const double now = seconds_now();
    if (!begun_) {
      if (record.gradients < warm_up_) return;
      begun_ = now;
      first_ = record.gradients;
      return parts_.reset();
    }
    cycle_.gradients = record.gradients - first_;
    cycle_.seconds = now - *begun_;
    cycle_.parts = parts_.take();
    for (const auto& [updates, gradients] : record.batch.gradients_by_staleness)
      cycle_.staleness[updates] += gradients;
  }
  void on_checkpoint(const store::Checkpoint&) override {}
  void on_warning(const std::string& line) override { base::print_remark(line); }

  const Cycle& cycle() const { return cycle_; }

 private:
  PartSeconds& parts_;
  std::int64_t warm_up_;
  std::int64_t first_ = 0;
  std::optional<double> begun_;
  Cycle cycle_;
};

struct Setup {
  std::int64_t workers = 0, floats = 0, batch = 0;
  double seconds = 0.0;
};

store::Checkpoint beginning(std::int64_t floats) {
  rule::TensorSpec tensor;
  tensor.name = "theta";
  tensor.shape = {floats};
  store::Checkpoint start;
  start.rule.layout = rule::Layout({tensor});
  start.rule.theta.assign(static_cast<std::size_t>(floats), 0.5);
  return start;
}

/// The options of a run that keeps an average, clips and may step back, without files; the other options have
/// the schema's defaults.
coordinator::CoordinatorOptions coordinator_options(const Setup& setup, PartSeconds& parts) {
  const auto& schema = proto::Config::default_instance();
  const auto& adam = schema.optimizer();
  const auto& back = schema.step_back();
  coordinator::CoordinatorOptions options;
  options.reject_norm = schema.reject_norm();
  options.max_failures = schema.max_failures();
  options.deadline = schema.deadline_seconds();
  options.adam = {adam.learning_rate(), adam.beta1(), adam.beta2(), adam.epsilon(), 0, 0, 0.0};
  options.step_back = {0.5, back.every_updates(), back.learning_rate_factor(), back.most()};
  options.batch = setup.batch;
  options.streams = setup.workers;
  options.staleness_bound = coordinator::default_staleness_bound(setup.workers, setup.batch);
  options.batch_norm_clip = 1.0;
  options.average_decay = 0.999;
  options.seconds = setup.seconds + 3600.0;
  options.profiler = &parts;
  return options;
}

/// Rank 0's part of one measurement; the other ranks run their Senders meanwhile.
Cycle coordinate(const net::MpiSession& mpi, net::Transport& transport, const Setup& setup) {
  PartSeconds parts;
  Watcher watcher(parts, 2 * setup.workers);
  std::vector<int> ranks(static_cast<std::size_t>(mpi.size() - 1));
  std::iota(ranks.begin(), ranks.end(), 1);
  const net::SteadyClock clock;
  coordinator::Coordinator coordinator(coordinator_options(setup, parts), beginning(setup.floats), ranks,
                                       watcher, clock.now());
  const coordinator::LoopHooks hooks{[] { return false; },
                                     [&] {
                                       if (watcher.cycle().seconds >= setup.seconds)
                                         coordinator.request_stop(coordinator::StopReason::seconds);
                                     }};
  coordinator::serve(transport, clock, coordinator, hooks);
  coordinator::release_workers(transport, coordinator);
  for (const auto& [cause, count] : coordinator.refused())
    if (cause != coordinator::name_of(coordinator::Refusal::stale))
      throw Error(fmt::format("{} gradients were refused: {}", count, cause));
  return watcher.cycle();
}

struct Measured {
  std::vector<Cycle> cycles;
  Seconds bare, rates, ratios;  ///< messages per second; gradients per second; the first over the second
  std::int64_t peak_bytes = 0;
  std::size_t message_bytes = 0;
};

/// All ranks: coordinator and bare exchange alternate, so that a change of the machine's speed affects both.
Measured measure(const net::MpiSession& mpi, net::Watchdog& watchdog, const Setup& setup, int repetitions) {
  Measured measured;
  net::MpiTransport transport(mpi);
  Senders senders(transport, setup.floats);
  measured.message_bytes = senders.message_bytes();
  net::BareExchange bare(mpi, {setup.workers, measured.message_bytes, measured.message_bytes, setup.batch});
  const std::int64_t before = resident_bytes();
  forget_peak();
  for (int i = 0; i < repetitions; ++i) {
    watchdog.watch("a measurement of the coordinator");
    if (mpi.rank() == 0)
      measured.cycles.push_back(coordinate(mpi, transport, setup));
    else
      senders.run();
    measured.peak_bytes = std::max(measured.peak_bytes, peak_resident_bytes() - before);
    watchdog.watch("a measurement of the bare exchange");
    measured.bare.values.push_back(bare.run(setup.seconds));
  }
  for (std::size_t i = 0; i < measured.cycles.size(); ++i) {
    measured.rates.values.push_back(measured.cycles[i].rate());
    measured.ratios.values.push_back(measured.bare.values[i] / measured.cycles[i].rate());
  }
  return measured;
}

Cycle sum_of(const std::vector<Cycle>& cycles) {
  Cycle sum;
  for (const auto& cycle : cycles) {
    sum.gradients += cycle.gradients;
    sum.seconds += cycle.seconds;
    for (std::size_t i = 0; i < sum.parts.size(); ++i) sum.parts[i] += cycle.parts[i];
    for (const auto& [updates, gradients] : cycle.staleness) sum.staleness[updates] += gradients;
  }
  return sum;
}

void print(const Measured& measured, const Setup& setup, const Cycle& all) {
  const auto row = [](const char* name, const std::string& value) {
    fmt::print("  {:<22}{}\n", name, value);
  };
  const auto spread = [](const Seconds& sample, const char* form) {
    return fmt::format("{} ({} to {})", fmt::format(form, sample.median()), fmt::format(form, sample.least()),
                       fmt::format(form, sample.most()));
  };
  fmt::print("\nMedians of {} measurements of {:g} s each, coordinator and bare exchange in turn:\n",
             measured.cycles.size(), setup.seconds);
  row("gradients/s", spread(measured.rates, "{:.0f}"));
  row("bytes/s received", fmt::format("{:.2f} GB/s", 1e-9 * measured.rates.median() *
                                                         static_cast<double>(measured.message_bytes)));
  row("bare MPI, messages/s", spread(measured.bare, "{:.0f}"));
  row("ratio to bare MPI", spread(measured.ratios, "{:.2f}"));
  row("memory", mebibytes(measured.peak_bytes));
  fmt::print("\nRank 0's time per gradient, in microseconds:\n");
  for (std::size_t i = 0; i < all.parts.size(); ++i)
    row(kPartNames[i],
        fmt::format("{:8.1f}  {:4.1f} %", 1e6 * all.parts[i] / static_cast<double>(all.gradients),
                    100.0 * all.parts[i] / all.seconds));
  fmt::print("\nStaleness, in updates that θ had moved on:\n");
  for (const auto& [updates, gradients] : all.staleness)
    row(fmt::format("{}", updates).c_str(), fmt::format("{:5.1f} %", 100.0 * static_cast<double>(gradients) /
                                                                         static_cast<double>(all.gradients)));
  std::fflush(stdout);
}

json result_of(const Measured& measured, const Setup& setup, const Cycle& all, int ranks) {
  json seconds = json::object(), staleness = json::object();
  for (std::size_t i = 0; i < all.parts.size(); ++i) seconds[kPartNames[i]] = all.parts[i];
  for (const auto& [updates, gradients] : all.staleness) staleness[std::to_string(updates)] = gradients;
  return {{"cpu", processor_name()},
          {"mpi", net::MpiSession::library_version()},
          {"ranks", ranks},
          {"workers", setup.workers},
          {"floats", setup.floats},
          {"batch", setup.batch},
          {"repetitions", measured.cycles.size()},
          {"gradients", all.gradients},
          {"gradients_per_second", measured.rates.median()},
          {"bytes_per_second", measured.rates.median() * static_cast<double>(measured.message_bytes)},
          {"bare_messages_per_second", measured.bare.median()},
          {"ratio_to_bare_mpi", measured.ratios.median()},
          {"ratio_least", measured.ratios.least()},
          {"ratio_most", measured.ratios.most()},
          {"peak_bytes", measured.peak_bytes},
          {"seconds", seconds},
          {"staleness", staleness}};
}

/// Replaces this process by mpirun, which starts this program with the same options on two ranks.
[[noreturn]] void launch(const BenchCoordinatorOptions& options) {
  const std::string mpirun = find_launcher().path;
  if (mpirun.empty())
    throw InputError(
        "bench coordinator: no mpirun of Open MPI is found; install it (apt-get install openmpi-bin), or "
        "start "
        "this as mpirun -n 2 outerloop bench coordinator");
  std::vector<std::string> line = {mpirun, "-n", "2", "--oversubscribe"};
  if (geteuid() == 0) line.emplace_back("--allow-run-as-root");
  line.insert(line.end(),
              {net::ProgramFile().path(), "bench", "coordinator", "--workers",
               std::to_string(options.workers), "--floats", std::to_string(options.floats), "--seconds",
               fmt::format("{}", options.seconds), "--repetitions", std::to_string(options.repetitions)});
  if (options.batch > 0) line.insert(line.end(), {"--batch", std::to_string(options.batch)});
  if (!options.json.empty()) line.insert(line.end(), {"--json", options.json});
  std::vector<char*> arguments;
  for (auto& word : line) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  // Two ranks on two cores need not yield: yielding would add a scheduler's turn to each poll for a message.
  setenv("OMPI_MCA_mpi_yield_when_idle", base::available_cores() < 2 ? "1" : "0", 0);
  execv(mpirun.c_str(), arguments.data());
  throw InputError("bench coordinator: " + mpirun + " cannot be started");
}

}  // namespace

int bench_coordinator(const BenchCoordinatorOptions& options) {
  // 1. At least two ranks
  if (!net::MpiSession::launched()) launch(options);
  net::Watchdog watchdog(net::this_rank(), kLongestPause, [](const std::string& line) {
    base::print_remark(line + "; the job ends");
    net::MpiSession::abort(1);
  });
  watchdog.watch("all ranks to start");
  const net::MpiSession mpi(nullptr, nullptr);
  if (mpi.size() < 2 || mpi.size() - 1 > options.workers) {
    if (mpi.rank() > 0) return 2;
    throw InputError(fmt::format(
        "bench coordinator: {} ranks; it needs two at least, and a worker for each but one", mpi.size()));
  }
  Setup setup{options.workers, options.floats, options.batch, options.seconds};
  if (setup.batch == 0) setup.batch = std::max<std::int64_t>(1, setup.workers / 2);
  if (mpi.rank() == 0) {
    fmt::print(
        "{}; {} simulated workers on {} ranks beside rank 0, {} numbers in θ, {} gradients per update\n",
        processor_name(), setup.workers, mpi.size() - 1, setup.floats, setup.batch);
    std::fflush(stdout);
  }

  // 2. Measure, in turn
  const Measured measured = measure(mpi, watchdog, setup, options.repetitions);
  if (mpi.rank() > 0) return 0;

  // 3. The table, and the same as JSON
  const Cycle all = sum_of(measured.cycles);
  print(measured, setup, all);
  if (!options.json.empty())
    store::write_file_atomically(options.json, result_of(measured, setup, all, mpi.size()).dump(2) + "\n");
  return 0;
}

}  // namespace outerloop::cli
