#include "coordinator/run_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <system_error>

#include "common/base/error.h"
#include "common/base/standard_streams.h"
#include "common/net/peer_process.h"
#include "common/net/transport.h"
#include "common/store/optional_call.h"

namespace outerloop::coordinator {
namespace {

using nlohmann::json;
using store::Descriptor;

constexpr double kStandstillSeconds = 20.0;  // four beats
constexpr double kLookSeconds = 0.5;
// Within this time an owner has written its record, and a race for a lock without flock is decided.
constexpr double kSettleSeconds = 1.0;
constexpr double kShortPause = 0.02;
constexpr double kGiveUpSeconds = 120.0;
constexpr std::size_t kRecordBytes = 512;  // fixed, because the record is rewritten in place

std::string reason(int code) { return std::generic_category().message(code); }

std::string lock_path(const std::string& directory) { return directory + "/lock"; }

std::string text_of(const LockOwner& owner) {
  const json record = {{"host", owner.host},     {"process", owner.process}, {"boot", owner.boot},
                       {"space", owner.space},   {"started", owner.started}, {"token", owner.token},
                       {"locked", owner.locked}, {"counter", owner.counter}};
  std::string text = record.dump(-1, ' ', false, json::error_handler_t::replace);
  text.resize(std::max(kRecordBytes, text.size() + 1) - 1, ' ');
  return text + "\n";
}

/// Nothing if the file is empty or half-written.
std::optional<LockOwner> owner_of(const std::string& text) {
  const json record = json::parse(text, nullptr, false);
  if (!record.is_object()) return std::nullopt;
  try {
    LockOwner owner;
    owner.host = record.value("host", "");
    owner.process = record.value("process", std::int64_t{0});
    owner.boot = record.value("boot", "");
    owner.space = record.value("space", "");
    owner.started = record.value("started", std::int64_t{0});
    owner.token = record.value("token", "");
    owner.locked = record.value("locked", false);
    owner.counter = record.value("counter", std::int64_t{0});
    return owner;
  } catch (const json::exception&) {  // a value of the wrong type
    return std::nullopt;
  }
}

/// Contents of the lock file, or why it cannot be read.
struct Reading {
  std::string text;
  int code = 0;  ///< errno; 0: it was read
  /// Any other error may pass, and says nothing about the file.
  bool missing() const { return code == ENOENT || code == ENOTDIR; }
};

/// Opens the file anew each time, so that network file systems ask the server.
Reading read_record(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.open()) return {"", errno};
  Reading reading{std::string(2 * kRecordBytes, '\0'), 0};
  const ssize_t count = pread(file.get(), reading.text.data(), reading.text.size(), 0);
  if (count < 0) reading.code = errno;
  reading.text.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  return reading;
}

/// Refuses a pipe or a device, whose contents cannot be rewritten in place.
void check_regular(const std::string& path, const Descriptor& file) {
  struct stat status {};
  if (fstat(file.get(), &status) != 0 || S_ISREG(status.st_mode)) return;
  throw InputError(path + ": the lock is no regular file; remove it if no process writes this run");
}

/// Refuses a symlink without a target: it can neither be created nor opened.
void check_link(const std::string& path) {
  struct stat status {};
  if (lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode) && access(path.c_str(), F_OK) != 0)
    throw InputError(path + ": the lock is a symlink that leads nowhere; remove it");
}

/// Start time of a process, field 22 of /proc/PID/stat; 0 if it cannot be read. `state` gets field 3.
std::int64_t start_of(std::int64_t process, char& state) {
  std::ifstream stream(fmt::format("/proc/{}/stat", process));
  std::string line;
  std::getline(stream, line);
  const std::size_t name_end = line.rfind(')');  // the name before it may contain anything
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(line.substr(name_end + 1));
  fields >> state;
  std::string field;
  for (int number = 4; number <= 22; ++number) fields >> field;
  return fields ? std::strtoll(field.c_str(), nullptr, 10) : 0;
}

bool really_lives(const LockOwner& owner) {
  const auto number = static_cast<pid_t>(owner.process);
  if (number <= 0 || (kill(number, 0) != 0 && errno == ESRCH)) return false;
  char state = '?';
  const std::int64_t start = start_of(owner.process, state);
  if (start == 0) return true;  // /proc is hidden from this process
  return state != 'Z' && state != 'X' && (owner.started == 0 || owner.started == start);
}

int really_flock(int descriptor) {
  int result = 0;
  do result = ::flock(descriptor, LOCK_EX | LOCK_NB);
  while (result != 0 && errno == EINTR);
  return result == 0 ? 0 : errno;
}

bool same_machine(const LockOwner& a, const LockOwner& b) { return !a.boot.empty() && a.boot == b.boot; }
bool sees(const LockOwner& self, const LockOwner& other) {
  return same_machine(self, other) && self.space == other.space;
}

}  // namespace

std::string LockOwner::name() const {
  return fmt::format("process {} on {}", process, host.empty() ? "an unknown host" : host);
}

LockOwner this_owner() {
  LockOwner owner;
  char host[256] = "?";
  gethostname(host, sizeof host - 1);
  owner.host = host;
  owner.process = getpid();
  std::istringstream here(net::PeerProcess::here());  // boot, namespace, process
  std::string boot, space, process;
  if (here >> boot >> space >> process) {
    owner.boot = boot;
    owner.space = space;
  }
  char state = '?';
  owner.started = start_of(owner.process, state);
  std::random_device random;
  owner.token = fmt::format("{:08x}{:08x}", random(), random());
  return owner;
}

LockSurroundings real_surroundings(std::function<bool()> stop_requested) {
  const auto clock = std::make_shared<net::SteadyClock>();
  return {this_owner(),
          [clock] { return clock->now(); },
          [](double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); },
          really_flock,
          really_lives,
          base::print_remark,
          std::move(stop_requested)};
}

RunLock::RunLock(const std::string& directory, LockSurroundings surroundings)
    : directory_(directory), path_(lock_path(directory)), surroundings_(std::move(surroundings)) {
  const double start = surroundings_.now();
  while (try_to_create() == Step::again && try_to_take() == Step::again) {
    file_.close();
    if (surroundings_.now() - start > kGiveUpSeconds)
      throw Error(path_ + ": other processes keep taking the lock; try again later");
    surroundings_.pause(kShortPause);
    obey_signals();
  }
  held_ = true;
}

void RunLock::obey_signals() const {
  if (surroundings_.stop_requested && surroundings_.stop_requested())
    throw Error(directory_ + ": a signal has ended the wait for the lock; the run is unchanged");
}

RunLock::~RunLock() { release(); }

/// O_EXCL lets only one process through. If another takes flock before this one, the lock is the other's.
RunLock::Step RunLock::try_to_create() {
  file_ = Descriptor(open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file_.open()) {
    if (errno == EEXIST) return Step::again;
    throw InputError(fmt::format(
        "{}: the lock cannot be created: {}; this process needs write access to the run directory", path_,
        reason(errno)));
  }
  const int code = surroundings_.flock(file_.get());
  if (code == EWOULDBLOCK) return Step::again;
  if (code != 0) store::say_not_supported(store::OptionalCall::lock, path_, code);
  surroundings_.self.locked = code == 0;
  if (const int failed = write_record()) {
    unlink(path_.c_str());
    throw Error(path_ + ": the lock cannot be written: " + reason(failed));
  }
  return Step::taken;
}

RunLock::Step RunLock::try_to_take() {
  file_ = Descriptor(open(path_.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!file_.open()) {
    const int code = errno;
    check_link(path_);
    if (code == ENOENT) return Step::again;
    if (const auto owner = owner_of(read_record(path_).text);
        owner && sees(surroundings_.self, *owner) && surroundings_.process_lives(*owner))
      refuse(owner);
    throw InputError(path_ + ": the lock cannot be opened: " + reason(code) +
                     "; remove it if no process writes this run");
  }
  check_regular(path_, file_);
  const int code = surroundings_.flock(file_.get());
  const bool got = code == 0, held = code == EWOULDBLOCK;
  if (!got && !held) store::say_not_supported(store::OptionalCall::lock, path_, code);
  if (!is_file_of(file_)) return Step::again;

  std::string record;
  if (got)
    record = read_record(path_).text;
  else if (!wait_for_record(held, record))
    return Step::again;
  const auto owner = owner_of(record);
  if (got && !owner) return take_over(record, true);  // its creator died before it wrote its record
  if (owner && sees(surroundings_.self, *owner)) {
    if (surroundings_.process_lives(*owner)) refuse(owner);
    return take_over(record, got);
  }
  if (owner && same_machine(surroundings_.self, *owner) && owner->locked) {
    if (held) refuse(owner);
    if (got) return take_over(record, true);
  }
  wait_for_life(record, owner);
  return take_over(record, got);
}

/// The holder of flock writes its record at once; until then the file is empty or holds the previous owner's.
/// Returns false if flock is free or the file has been replaced.
bool RunLock::wait_for_record(bool held, std::string& record) {
  const double start = surroundings_.now();
  for (;;) {
    const Reading reading = read_record(path_);
    if (reading.missing()) return false;
    record = reading.text;
    const auto owner = owner_of(record);
    const bool dead = owner && sees(surroundings_.self, *owner) && !surroundings_.process_lives(*owner);
    if (owner && !(dead && held)) return true;
    if (surroundings_.now() - start > kSettleSeconds) return true;
    surroundings_.pause(kShortPause);
    const int code = surroundings_.flock(file_.get());
    if (code == 0) return false;
  }
}

void RunLock::wait_for_life(const std::string& record, const std::optional<LockOwner>& owner) {
  const std::string who = owner ? owner->name() : "an unknown process";
  surroundings_.say(
      fmt::format("{}: {} has this run, and is not visible from here; waiting {:.0f} s for a sign of life",
                  directory_, who, kStandstillSeconds));
  for (const double start = surroundings_.now(); surroundings_.now() - start < kStandstillSeconds;) {
    surroundings_.pause(kLookSeconds);
    obey_signals();
    const Reading now = read_record(path_);
    if (now.missing()) return;  // the owner has released the lock
    if (now.code == 0 && now.text != record) {
      const auto living = owner_of(now.text);
      refuse(living ? living : owner);
    }
  }
  if (const Reading last = read_record(path_); last.code != 0 && !last.missing())
    throw Error(path_ + ": the lock cannot be read: " + reason(last.code));
  surroundings_.say(
      fmt::format("{}: {} has shown no sign of life for {:.0f} s; this process takes over its run",
                  directory_, who, kStandstillSeconds));
}

/// `seen`: the contents on which the decision is based. With flock the file is rewritten in place, otherwise
/// replaced.
RunLock::Step RunLock::take_over(const std::string& seen, bool with_flock) {
  if (read_record(path_).text != seen || !is_file_of(file_)) return Step::again;
  auto& self = surroundings_.self;
  if (with_flock) {
    self.locked = true;
    if (const int code = write_record()) throw Error(path_ + ": the lock cannot be written: " + reason(code));
    return Step::taken;
  }
  const std::string fresh = fmt::format("{}.{}.{}.tmp", path_, getpid(), self.token);
  file_ = Descriptor(open(fresh.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file_.open()) throw Error(path_ + ": the lock cannot be made: " + reason(errno));
  self.locked = surroundings_.flock(file_.get()) == 0;
  int code = write_record();
  if (code == 0) code = store::move_over(fresh, path_);
  if (code != 0) {
    unlink(fresh.c_str());
    if (code == ENOENT) return Step::again;  // another new owner has cleaned up
    throw Error(path_ + ": the lock cannot be replaced: " + reason(code));
  }
  surroundings_.pause(kSettleSeconds);
  return says_mine() ? Step::taken : Step::again;
}

/// Whether the path still refers to this file: the release of a lock removes it.
bool RunLock::is_file_of(const Descriptor& file) const {
  struct stat by_name {
  }, by_number{};
  return stat(path_.c_str(), &by_name) == 0 && fstat(file.get(), &by_number) == 0 &&
         by_name.st_dev == by_number.st_dev && by_name.st_ino == by_number.st_ino;
}

int RunLock::write_record() {
  const std::string text = text_of(surroundings_.self);
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t count =
        pwrite(file_.get(), text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    done += static_cast<std::size_t>(count);
  }
  if (ftruncate(file_.get(), static_cast<off_t>(text.size())) != 0) return errno;
  // Other hosts see only flushed data.
  return fsync(file_.get()) != 0 && !store::not_supported(errno) ? errno : 0;
}

void RunLock::refuse(const std::optional<LockOwner>& owner) const {
  throw InputError(fmt::format("{}: {} has this run; wait for its end, or choose another --run-dir",
                               directory_, owner ? owner->name() : "another process"));
}

std::optional<LockOwner> RunLock::known_owner(const std::string& directory,
                                              const LockSurroundings& surroundings) {
  const auto owner = owner_of(read_record(lock_path(directory)).text);
  if (!owner) return std::nullopt;
  if (sees(surroundings.self, *owner)) return surroundings.process_lives(*owner) ? owner : std::nullopt;
  const Descriptor file(open(lock_path(directory).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  const bool held = file.open() && surroundings.flock(file.get()) == EWOULDBLOCK;
  return held && same_machine(surroundings.self, *owner) ? owner : std::nullopt;
}

/// Reads the file before it writes: this process may have been suspended, and another may have taken the
/// lock.
void RunLock::beat() {
  const std::lock_guard<std::mutex> guard(mutex_);
  if (!held_ || !says_mine()) return;
  ++surroundings_.self.counter;
  write_record();  // the next beat tries again
}

bool RunLock::says_mine() const {
  const auto owner = owner_of(read_record(path_).text);
  return owner && owner->token == surroundings_.self.token;
}

RunLock::State RunLock::state(LockOwner& owner, int* code) const {
  const Reading reading = read_record(path_);
  if (code != nullptr) *code = reading.code;
  if (reading.code != 0) return reading.missing() ? State::missing : State::unreadable;
  const auto found = owner_of(reading.text);
  if (!found) return State::mine;  // unreadable at the moment; the next check decides
  owner = *found;
  return found->token == surroundings_.self.token ? State::mine : State::taken;
}

bool RunLock::renew() {
  const std::lock_guard<std::mutex> guard(mutex_);
  const Step step = try_to_create();
  held_ = step == Step::taken;
  return held_;
}

void RunLock::release() {
  const std::lock_guard<std::mutex> guard(mutex_);
  if (held_ && says_mine()) unlink(path_.c_str());
  held_ = false;
  file_.close();
}

HeldLock::HeldLock(const std::string& directory, std::function<bool()> stop_requested)
    : lock_(directory, real_surroundings(std::move(stop_requested))) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // the thread inherits this signal mask
  thread_ = std::thread([this] {
    std::unique_lock<std::mutex> guard(mutex_);
    const auto period = std::chrono::duration<double>(RunLock::kBeatSeconds);
    while (!ended_.wait_for(guard, period, [this] { return end_; })) lock_.beat();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

HeldLock::~HeldLock() {
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    end_ = true;
  }
  ended_.notify_one();
  thread_.join();
}

}  // namespace outerloop::coordinator
