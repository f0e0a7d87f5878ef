#include "common/net/peer_process.h"

#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/base/error.h"

namespace outerloop::net {
namespace {

/// Boot id and process namespace. Processes with the same text see each other's process numbers. Empty if
/// unknown.
std::string process_space() {
  std::ifstream stream("/proc/sys/kernel/random/boot_id");
  std::string boot;
  stream >> boot;
  std::error_code error;
  const auto space = std::filesystem::read_symlink("/proc/self/ns/pid", error);
  return boot.empty() || error ? "" : boot + " " + space.string();
}

}  // namespace

std::optional<ProgramFile::Identity> ProgramFile::identity_of(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return std::nullopt;
  return Identity{status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec,
                  status.st_mtim.tv_nsec};
}

ProgramFile::ProgramFile() {
  std::error_code error;
  path_ = std::filesystem::read_symlink("/proc/self/exe", error).string();
  if (error) throw Error("/proc/self/exe cannot be read");
  identity_ = identity_of(path_).value_or(Identity());
}

void ProgramFile::check_unchanged() const {
  const auto now = identity_of(path_);
  if (!now) throw Error(path_ + ": the program's file no longer exists");
  if (!(*now == identity_))
    throw Error(path_ + ": the program's file has changed since the start of the run");
}

std::string PeerProcess::here() { return process_space() + " " + std::to_string(getpid()); }

PeerProcess::PeerProcess(const std::string& where) {
  const std::size_t space = where.rfind(' ');
  if (space == std::string::npos || space == 0 || where.substr(0, space) != process_space()) return;
#ifdef SYS_pidfd_open
  number_ = std::atoi(where.c_str() + space + 1);
  descriptor_ = static_cast<int>(syscall(SYS_pidfd_open, number_, 0));
#endif
}

PeerProcess::~PeerProcess() {
  if (descriptor_ >= 0) close(descriptor_);
}

void PeerProcess::end_if_stopped() const {
  if (descriptor_ < 0) return;
  std::ifstream stream("/proc/" + std::to_string(number_) + "/stat");
  std::string line;
  std::getline(stream, line);
  // "4711 (the program's name) T ...": the name may contain anything.
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= line.size() || line[name_end + 2] != 'T') return;
#ifdef SYS_pidfd_send_signal
  syscall(SYS_pidfd_send_signal, descriptor_, SIGKILL, nullptr, 0);
#endif
}

bool PeerProcess::ended() const {
  if (descriptor_ < 0) return false;
  pollfd ready{descriptor_, POLLIN, 0};
  return poll(&ready, 1, 0) == 1 && (ready.revents & POLLIN) != 0;
}

PeerProcesses::PeerProcesses(const std::vector<std::string>& process_ids) {
  for (std::size_t rank = 1; rank < process_ids.size(); ++rank)
    watch(static_cast<int>(rank), process_ids[rank]);
}

void PeerProcesses::watch(int rank, const std::string& where) {
  if (!known_.insert(rank).second) return;
  watched_.emplace_back(rank, where);
  if (!watched_.back().process.watched()) watched_.pop_back();
}

std::vector<int> PeerProcesses::ended(double now) {
  constexpr double kSeconds = 1.0;
  std::vector<int> ranks;
  for (auto it = watched_.begin(); it != watched_.end();) {
    if (!it->ended_at && it->process.ended()) it->ended_at = now;
    const bool over = it->ended_at && now - *it->ended_at >= kSeconds;
    if (over) ranks.push_back(it->rank);
    it = over ? watched_.erase(it) : std::next(it);
  }
  return ranks;
}

}  // namespace outerloop::net
