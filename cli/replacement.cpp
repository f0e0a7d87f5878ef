#include "cli/replacement.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/store/atomic_file.h"

namespace outerloop::cli {
namespace {

using nlohmann::json;

constexpr double kBriefingSeconds = 60.0;

std::string briefing_of(const Plan& plan) {
  const json briefing = {{"settings", plan.settings.text()},
                         {"run_directory", plan.run_directory},
                         {"datasets", plan.start.dataset_sha256},
                         {"coordinator", net::PeerProcess::here()}};
  return briefing.dump();
}

std::string join_path(const std::string& directory) { return directory + "/join.json"; }
/// Exists from a request to join until the worker has joined; whoever creates it is the next.
std::string request_path(const std::string& directory) { return directory + "/join.tmp"; }

}  // namespace

Replacements::Replacements(net::MpiTransport& transport, net::Watchdog& watchdog,
                           coordinator::Observer& observer, const Plan& plan)
    : transport_(transport), watchdog_(watchdog), observer_(observer), briefing_(briefing_of(plan)) {}

/// Its arguments are for whoever lists processes: what it does it is told.
int Replacements::start() {
  watchdog_.watch("MPI to start a worker");
  const int number = transport_.spawn(net::this_program(), {"train", "--respawn"});
  transport_.send(number, {briefing_, {}});
  return number;
}

void Replacements::replace(coordinator::Coordinator& coordinator, double now) {
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

JoinListener::JoinListener(net::MpiTransport& transport, net::Watchdog& watchdog,
                           coordinator::Observer& observer, const Plan& plan)
    : transport_(transport),
      watchdog_(watchdog),
      observer_(observer),
      directory_(plan.run_directory),
      briefing_(briefing_of(plan)) {
  std::string why;
  if (!net::MpiSession::can_connect(why)) throw InputError("--joinable: " + why);
  port_ = net::MpiTransport::open_port();
  unlink(request_path(directory_).c_str());
  const json join = {{"port", port_},
                     {"server", std::getenv("OMPI_MCA_pmix_server_uri")},
                     {"mpi", net::MpiSession::library_version()}};
  store::write_file_atomically(join_path(directory_), join.dump(2) + "\n");
}

JoinListener::~JoinListener() {
  unlink(join_path(directory_).c_str());
  unlink(request_path(directory_).c_str());
}

/// The new worker connects right after its request, so that MPI, which cannot be told to give up, waits for
/// milliseconds.
void JoinListener::look() {
  if (access(request_path(directory_).c_str(), F_OK) != 0) return;
  watchdog_.watch("a worker that wants to join");
  const int number = transport_.accept_one(port_);
  unlink(request_path(directory_).c_str());  // from now on the next may ask: MPI takes one at a time
  transport_.send(number, {briefing_, {}});
  observer_.on_warning(fmt::format("worker {} joins", number));
}

std::unique_ptr<net::MpiTransport> request_to_join(const net::MpiSession& mpi, const std::string& directory) {
  constexpr double kSeconds = 60.0;
  std::string why;
  if (!net::MpiSession::can_connect(why)) throw InputError("--join: " + why);
  std::ifstream stream(join_path(directory));
  const json join = json::parse(stream, nullptr, false);
  if (join.is_discarded() || !join.contains("port"))
    throw InputError(join_path(directory) +
                     ": cannot be read; no run goes on there, or it was not started with --joinable");
  const net::SteadyClock clock;
  const double start = clock.now();
  for (;;) {
    const int file = open(request_path(directory).c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
    if (file >= 0) {
      close(file);
      return std::make_unique<net::MpiTransport>(mpi, join.at("port").get<std::string>());
    }
    if (clock.now() - start > kSeconds)
      throw Error(fmt::format("{}: the run lets nobody in; is it still there?", directory));
    usleep(20000);
  }
}

Briefing receive_briefing(net::Transport& transport) {
  const auto received = transport.receive(kBriefingSeconds);
  if (!received) throw Error("rank 0 does not say what is to be done");
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

}  // namespace outerloop::cli
