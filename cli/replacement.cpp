#include "cli/replacement.h"

#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "common/rule/error.h"

namespace outerloop::cli {
namespace {

using nlohmann::json;

constexpr double kBriefingSeconds = 60.0;

std::string this_program() {
  char path[4096] = {};
  if (readlink("/proc/self/exe", path, sizeof path - 1) < 0) throw Error("/proc/self/exe cannot be read");
  return path;
}

}  // namespace

Replacements::Replacements(net::MpiTransport& transport, net::Watchdog& watchdog,
                           net::PeerProcesses& processes, coordinator::Observer& observer, const Plan& plan)
    : transport_(transport), watchdog_(watchdog), processes_(processes), observer_(observer) {
  const json briefing = {{"settings", plan.settings.text()},
                         {"run_directory", plan.run_directory},
                         {"datasets", plan.start.dataset_sha256},
                         {"coordinator", net::PeerProcess::here()}};
  briefing_ = briefing.dump();
}

/// Its arguments are for whoever lists processes: what it does it is told.
int Replacements::start() {
  watchdog_.watch("MPI to start a worker");
  const int number = transport_.spawn(this_program(), {"train", "--respawn"});
  transport_.send(number, {briefing_, {}});
  return number;
}

void Replacements::replace(coordinator::Coordinator& coordinator, double now) {
  for (const auto& [number, member] : coordinator.membership().members())
    if (member.active() && !member.process.empty()) processes_.watch(number, member.process);
  for (; possible_ && replaced_ < coordinator.losses().size() && !coordinator.stopping(); ++replaced_) {
    const int lost = coordinator.losses()[replaced_].worker;
    try {
      const int number = start();
      coordinator.expect(number, now);
      observer_.on_warning(fmt::format("worker {} is started in the place of worker {}", number, lost));
    } catch (const Error& error) {
      possible_ = false;
      observer_.on_warning(
          fmt::format("nobody takes the place of worker {}: {}; the run goes on with the workers it has",
                      lost, error.what()));
      coordinator.no_replacement();
    }
  }
}

Briefing receive_briefing(const net::MpiSession& mpi) {
  net::MpiTransport transport(mpi);
  const auto received = transport.receive(kBriefingSeconds);
  if (!received) throw Error("rank 0 has started this process, but does not say what for");
  const json told = json::parse(net::decode(received->bytes).header);
  Briefing briefing;
  briefing.plan.resumed = true;
  briefing.plan.run_directory = told.at("run_directory").get<std::string>();
  briefing.plan.settings = config::settings_from_text(told.at("settings").get<std::string>(),
                                                      "the coordinator's configuration", {});
  briefing.plan.start.dataset_sha256 = told.at("datasets").get<std::map<std::string, std::string>>();
  briefing.coordinator = told.at("coordinator").get<std::string>();
  return briefing;
}

void check_same_datasets(const Plan& plan, const std::map<std::string, std::string>& here) {
  if (plan.settings.config.mode() != proto::Config::deterministic) return;
  for (const auto& [name, hash] : plan.start.dataset_sha256) {
    const auto found = here.find(name);
    if (found == here.end() || found->second != hash)
      throw InputError(
          fmt::format("{}: mode = deterministic, and dataset {} differs from the one that the "
                      "run began with; bring that one back",
                      plan.run_directory, name));
  }
}

}  // namespace outerloop::cli
