#include "common/base/isolated.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <string>
#include <system_error>
#include <utility>

#include "common/base/error.h"

namespace outerloop::base {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kDeadline{60};

/// One end of a pipe.
class End {
 public:
  explicit End(int descriptor) : descriptor_(descriptor) {}
  ~End() { close(); }
  End(const End&) = delete;
  End& operator=(const End&) = delete;
  int get() const { return descriptor_; }
  void close() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
  }

 private:
  int descriptor_;
};

bool write_all(int to, const std::vector<std::uint8_t>& bytes) {
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t wrote = ::write(to, bytes.data() + done, bytes.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return false;
    done += static_cast<std::size_t>(wrote);
  }
  return true;
}

/// Closes the parent's descriptors that a child must not keep: the lock of a run, connections.
void close_all_but(int kept) {
  const auto close_from = [](unsigned first, unsigned last) {
#ifdef SYS_close_range
    if (first > last || syscall(SYS_close_range, first, last, 0) == 0) return;
#endif
    for (unsigned number = first; number <= std::min(last, 4095u); ++number)
      ::close(static_cast<int>(number));
  };
  close_from(STDERR_FILENO + 1, static_cast<unsigned>(kept) - 1);
  close_from(static_cast<unsigned>(kept) + 1, ~0u);
}

/// Runs in the child: never returns, and does not run the parent's cleanup.
[[noreturn]] void run_child(const std::function<std::vector<std::uint8_t>()>& make, int out) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGXCPU}) std::signal(signal, SIG_DFL);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  const auto seconds = static_cast<rlim_t>(kDeadline.count());
  const rlimit processor{seconds, seconds};
  setrlimit(RLIMIT_CPU, &processor);
  close_all_but(out);
  // The parent reports a crash, in one line.
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere >= 0) dup2(nowhere, STDERR_FILENO);
  int status = 1;
  try {
    status = write_all(out, make()) ? 0 : 1;
  } catch (...) {
  }
  _exit(status);
}

/// Reads up to the end of the pipe; false on a timeout, or if there are more than `most` bytes.
bool read_to_end(int in, std::size_t most, std::vector<std::uint8_t>& bytes) {
  const auto deadline = Clock::now() + kDeadline;
  std::vector<std::uint8_t> part(std::size_t{1} << 16);
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd wait{in, POLLIN, 0};
    const int ready = left > 0 ? poll(&wait, 1, static_cast<int>(left)) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    const ssize_t count = ::read(in, part.data(), part.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 || bytes.size() > most) return false;
    if (count == 0) return true;
    bytes.insert(bytes.end(), part.begin(), part.begin() + count);
  }
}

int wait_for(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

IsolatedResult run_isolated(const std::function<std::vector<std::uint8_t>()>& make, std::size_t most) {
  const auto reason = [] { return std::generic_category().message(errno); };
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw Error("cannot create a pipe to a child process: " + reason());
  const End in(ends[0]);
  End out(ends[1]);
  const pid_t child = fork();
  if (child < 0) throw Error("cannot start a child process: " + reason());
  if (child == 0) run_child(make, out.get());
  out.close();
  IsolatedResult result;
  const bool complete = read_to_end(in.get(), most, result.bytes);
  if (!complete) kill(child, SIGKILL);
  const int status = wait_for(child);
  if (!complete)
    result.outcome = IsolatedResult::Outcome::endless;
  else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    result.outcome = IsolatedResult::Outcome::crashed;
  return result;
}

}  // namespace outerloop::base
