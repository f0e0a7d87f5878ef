#include "cli/replacement.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/support/rule_module.h"
#include "common/base/error.h"
#include "common/store/atomic_file.h"

namespace outerloop::cli {
namespace {

using nlohmann::json;

constexpr double kBriefingSeconds = 60.0;

std::string briefing_of(const Plan& plan) {
  json briefing = {{"settings", plan.settings.text()},
                   {"run_directory", plan.run_directory},
                   {"datasets", plan.start.dataset_sha256},
                   {"coordinator", net::PeerProcess::here()}};
  if (const auto& script = plan.settings.rule.script; script)
    briefing["module"] = json::binary({script->bytes.begin(), script->bytes.end()});
  std::string text;
  json::to_cbor(briefing, text);
  return text;
}

std::string join_path(const std::string& directory) { return directory + "/join.json"; }
/// Exists from a request to join until the worker has joined; its creator is the next to join.
std::string request_path(const std::string& directory) { return directory + "/join.tmp"; }

}  // namespace

Replacements::Replacements(net::MpiTransport& transport, const BoundedCall& bounded,
                           coordinator::Observer& observer, const Plan& plan, net::SilentListener* listener)
    : transport_(transport),
      bounded_(bounded),
      observer_(observer),
      listener_(listener),
      briefing_(briefing_of(plan)) {}

/// The arguments only make the process recognisable in `ps`; its task arrives in the briefing. Connection
/// data is in its environment.
int Replacements::start() {
  const net::CallerNumber caller = net::draw_caller_number();
  std::string environment;
  if (listener_ != nullptr) {
    const std::string name = std::string(kCallerVariable) + "=";
    const Invitation invitation{caller, listener_->meeting_point()};
    environment = name + invitation.text(net::MpiTransport::kMostEnvironment - name.size());
  }
  const int number = transport_.spawn(program_.path(), {"train", "--respawn"}, environment);
  if (listener_ != nullptr) listener_->bind(caller, number);
  transport_.send(number, {briefing_, {}});
  return number;
}

void Replacements::replace(coordinator::Coordinator& coordinator, double now) {
  for (; possible_ && replaced_ < coordinator.losses().size() && !coordinator.stopping(); ++replaced_) {
    const int lost = coordinator.losses()[replaced_].worker;
    try {
      program_.check_unchanged();
      int number = 0;
      if (!bounded_("to start a worker", [&] { number = start(); })) return;  // the disk may accept one later
      coordinator.expect(number, now);
      observer_.on_warning(fmt::format("worker {} is started in the place of worker {}", number, lost));
    } catch (const Error& error) {
      possible_ = false;
      observer_.on_warning(fmt::format(
          "worker {} is not replaced: {}; the run continues with its present workers", lost, error.what()));
      coordinator.no_replacement();
    }
  }
}

JoinListener::JoinListener(net::MpiTransport& transport, const BoundedCall& bounded,
                           coordinator::Observer& observer, const Plan& plan, net::SilentListener* listener)
    : transport_(transport),
      bounded_(bounded),
      observer_(observer),
      listener_(listener),
      directory_(plan.run_directory),
      briefing_(briefing_of(plan)) {
  std::string why;
  if (!net::MpiSession::can_connect(why)) throw InputError("--joinable: " + why);
  port_ = net::MpiTransport::open_port();
  unlink(request_path(directory_).c_str());
  json join = {{"port", port_},
               {"server", std::getenv("OMPI_MCA_pmix_server_uri")},
               {"mpi", net::MpiSession::library_version()}};
  if (listener_ != nullptr) join["rank_0"] = listener_->meeting_point().text();
  const mode_t before = umask(S_IRWXG | S_IRWXO);
  try {
    store::write_file_atomically(join_path(directory_), join.dump(2) + "\n");
  } catch (...) {
    umask(before);
    throw;
  }
  umask(before);
}

JoinListener::~JoinListener() {
  unlink(join_path(directory_).c_str());
  unlink(request_path(directory_).c_str());
}

/// The new worker connects right after its request. MPI cannot abandon an accept, but it waits only for
/// milliseconds here.
void JoinListener::look(double now) {
  std::ifstream request(request_path(directory_));
  if (!request) {
    asked_at_.reset();
    return;
  }
  if (!asked_at_) asked_at_ = now;
  net::CallerNumber caller = 0;
  const bool called = static_cast<bool>(request >> caller);
  if (called && (listener_ == nullptr || listener_->stands(caller))) return accept(caller);
  if (now - *asked_at_ < kRequestSeconds) return;
  observer_.on_warning(
      fmt::format("a request to join ({}) is dropped: no worker has reached rank 0 within {:g} s; if one is "
                  "running, allow TCP to this host",
                  request_path(directory_), kRequestSeconds));
  forget_request();
}

void JoinListener::accept(net::CallerNumber caller) {
  try {
    int number = 0;
    if (!bounded_("to let a worker in", [&] { number = transport_.accept_one(port_); })) return;
    if (listener_ != nullptr) listener_->bind(caller, number);
    transport_.send(number, {briefing_, {}});
    observer_.on_warning(fmt::format("worker {} joins", number));
  } catch (const Error& error) {
    observer_.on_warning(
        fmt::format("a worker could not join: {}; the run continues without it", error.what()));
  }
  forget_request();
}

/// Lets the next worker ask: MPI accepts one at a time.
void JoinListener::forget_request() {
  asked_at_.reset();
  unlink(request_path(directory_).c_str());
}

namespace {

json read_join_file(const std::string& directory) {
  std::ifstream stream(join_path(directory));
  json join = json::parse(stream, nullptr, false);
  if (join.is_discarded() || !join.contains("port"))
    throw InputError(join_path(directory) +
                     ": cannot be read; no run is active there, or it was not started with --joinable");
  return join;
}

}  // namespace

std::optional<Invitation> read_invitation(const std::string& directory) {
  const json join = read_join_file(directory);
  if (std::string why; !net::MpiSession::can_connect(why)) throw InputError("--join: " + why);
  if (!join.contains("rank_0")) return std::nullopt;
  return Invitation{net::draw_caller_number(),
                    net::MeetingPoint::parse(join.at("rank_0").get<std::string>())};
}

std::unique_ptr<net::MpiTransport> request_to_join(const net::MpiSession& mpi, const std::string& directory,
                                                   net::CallerNumber caller) {
  constexpr double kSeconds = 60.0;
  const json join = read_join_file(directory);
  const net::SteadyClock clock;
  const double start = clock.now();
  for (;;) {
    const int file = open(request_path(directory).c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
    if (file >= 0) {
      dprintf(file, "%llu\n", static_cast<unsigned long long>(caller));
      close(file);
      return std::make_unique<net::MpiTransport>(mpi, join.at("port").get<std::string>());
    }
    if (clock.now() - start > kSeconds)
      throw Error(fmt::format("{}: the run accepts no workers; is it still active?", directory));
    usleep(20000);
  }
}

Briefing receive_briefing(net::Transport& transport) {
  const auto received = transport.receive(kBriefingSeconds);
  if (!received) throw Error("rank 0 has not sent the settings of the run");
  const json told = json::from_cbor(net::decode(received->bytes).header);
  Briefing briefing;
  briefing.plan.resumed = true;
  briefing.plan.run_directory = told.at("run_directory").get<std::string>();
  briefing.plan.settings = config::settings_from_text(told.at("settings").get<std::string>(),
                                                      "the coordinator's configuration", {});
  if (told.contains("module")) {
    const auto& bytes = told.at("module").get_binary();
    set_module(briefing.plan.settings, {bytes.begin(), bytes.end()}, module_name(briefing.plan.settings));
  }
  briefing.plan.start.dataset_sha256 = told.at("datasets").get<std::map<std::string, std::string>>();
  briefing.coordinator = told.at("coordinator").get<std::string>();
  return briefing;
}

}  // namespace outerloop::cli
