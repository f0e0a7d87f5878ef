#include "cli/housekeeping.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/train_report.h"

namespace outerloop::cli {
namespace {

// Counted from the first round: rank 0 was busy during start-up and accepts waiting connections only now.
constexpr double kSecondsToConnect = 10.0;

}  // namespace

Housekeeping::Housekeeping(coordinator::Coordinator& coordinator, coordinator::RunDirectory& run,
                           const Plan& plan, const Ranks& ranks, net::Watchdog& watchdog,
                           const net::Clock& clock, net::SilentListener* listener, const BoundedCall& bounded)
    : coordinator_(coordinator),
      run_(run),
      plan_(plan),
      watchdog_(watchdog),
      clock_(clock),
      processes_(ranks.process_ids),
      bounded_(bounded),
      listener_(listener),
      started_(clock.now()),
      progress_(std::in_place) {}

void Housekeeping::start_replacements(net::MpiTransport& transport) {
  replacements_.emplace(transport, bounded_, run_, plan_, listener_);
}

void Housekeeping::let_others_join(net::MpiTransport& transport) {
  join_listener_.emplace(transport, bounded_, run_, plan_, listener_);
}

void Housekeeping::look_after_processes() {
  for (const int worker : processes_.ended(clock_.now())) coordinator_.process_ended(worker, clock_.now());
  for (const auto& [number, member] : coordinator_.membership().members())
    if (member.active() && !member.process.empty()) processes_.watch(number, member.process);
}

void Housekeeping::look_after_connections() {
  if (listener_ == nullptr) return;
  const double now = clock_.now();
  for (const auto& end : listener_->look(now))
    coordinator_.connection_ended(end.worker, end.how == net::ConnectionEnd::timed_out, now);
  if (now - started_ < kSecondsToConnect) return;
  std::string missing;
  for (const auto& [number, member] : coordinator_.membership().members())
    if (member.active() && !member.host.empty() && !listener_->worker_came(number) &&
        missed_.insert(number).second)
      missing += fmt::format("{}{} on {}", missing.empty() ? "" : ", ", number, member.host);
  if (missing.empty()) return;
  run_.on_warning(
      fmt::format("rank 0's addresses ({}) do not answer these workers: {}; the end of these workers is "
                  "noticed only after deadline_seconds = {:g}; allow TCP between the hosts, or name the "
                  "network: --mca btl_tcp_if_include",
                  fmt::join(listener_->meeting_point().endpoints, ", "), missing,
                  plan_.settings.config.deadline_seconds()));
}

void Housekeeping::each_round() {
  run_.retry(clock_.now());
  look_after_processes();
  look_after_connections();
  if (replacements_) replacements_->replace(coordinator_, clock_.now());
  if (join_listener_ && !coordinator_.stopping()) join_listener_->look(clock_.now());
  watchdog_.watch("its own computing");
  if (progress_) progress_->show(progress_line(coordinator_, run_, plan_.settings.config, clock_.now()));
}

}  // namespace outerloop::cli
