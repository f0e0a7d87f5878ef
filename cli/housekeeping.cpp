#include "cli/housekeeping.h"

#include "cli/train_report.h"

namespace outerloop::cli {

Housekeeping::Housekeeping(coordinator::Coordinator& coordinator, coordinator::RunDirectory& run,
                           const Plan& plan, const Ranks& ranks, net::Watchdog& watchdog,
                           const net::Clock& clock)
    : coordinator_(coordinator),
      run_(run),
      plan_(plan),
      watchdog_(watchdog),
      clock_(clock),
      processes_(ranks.process_ids),
      progress_(std::in_place) {}

void Housekeeping::start_replacements(net::MpiTransport& transport) {
  replacements_.emplace(transport, watchdog_, run_, plan_);
}

void Housekeeping::let_others_join(net::MpiTransport& transport) {
  join_listener_.emplace(transport, watchdog_, run_, plan_);
}

void Housekeeping::look_after_processes() {
  for (const int worker : processes_.ended(clock_.now())) coordinator_.process_ended(worker, clock_.now());
  for (const auto& [number, member] : coordinator_.membership().members())
    if (member.active() && !member.process.empty()) processes_.watch(number, member.process);
}

void Housekeeping::each_round() {
  run_.retry(clock_.now());
  look_after_processes();
  if (replacements_) replacements_->replace(coordinator_, clock_.now());
  if (join_listener_ && !coordinator_.stopping()) join_listener_->look();
  watchdog_.watch("its own computing");
  if (progress_) progress_->show(progress_line(coordinator_, run_, plan_.settings.config, clock_.now()));
}

}  // namespace outerloop::cli
