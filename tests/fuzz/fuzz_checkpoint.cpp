// The checkpoint reader behind its checksums: the bytes of an HDF5 file (the user block left out), of which
// the sums are put right before the rest of the reader sees it. The HDF5 library parses in a child, as it
// does for decode_hdf5_isolated, but the child is kept from one input to the next.
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <optional>

#include "common/base/error.h"
#include "common/store/hdf5.h"
#include "common/store/isolated_hdf5.h"
#include "common/store/rule_file.h"
#include "tests/fuzz/document.h"
#include "tests/fuzz/input.h"

namespace {

using namespace outerloop;

/// The library sets itself up at its first call; done here once, no child has to do it again.
bool warm_up() {
  store::Document document;
  document.attributes = {{"kind", std::string("checkpoint")}, {"update", std::int64_t{1}}, {"seconds", 0.5}};
  document.datasets["/adam/step"] = store::Dataset::integer(1);
  document.datasets["/config"] = store::Dataset::text("seed: 1");
  document.datasets["/theta/one"] = store::Dataset::float32({1.0}, 0, {1});
  return store::decode_hdf5(store::encode_hdf5(document)).datasets.size() == 3;
}

using Bytes = std::vector<std::uint8_t>;

constexpr int kDeadline = 60'000;      // milliseconds
constexpr int kFilesPerChild = 1'000;  // the library keeps some of what it could not close
constexpr std::size_t kMostBytes = std::size_t{1} << 28;

bool send_all(int to, const void* bytes, std::size_t count) {
  for (const char* next = static_cast<const char*>(bytes); count > 0;) {
    const ssize_t sent = send(to, next, count, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    next += sent;
    count -= static_cast<std::size_t>(sent);
  }
  return true;
}

bool receive_all(int from, void* bytes, std::size_t count) {
  for (char* next = static_cast<char*>(bytes); count > 0;) {
    pollfd wait{from, POLLIN, 0};
    if (poll(&wait, 1, kDeadline) <= 0) return false;
    const ssize_t got = recv(from, next, count, 0);
    if (got <= 0) return false;
    next += got;
    count -= static_cast<std::size_t>(got);
  }
  return true;
}

bool send_bytes(int to, const Bytes& bytes) {
  const std::uint64_t count = bytes.size();
  return send_all(to, &count, sizeof count) && send_all(to, bytes.data(), bytes.size());
}

std::optional<Bytes> receive_bytes(int from) {
  std::uint64_t count = 0;
  if (!receive_all(from, &count, sizeof count) || count > kMostBytes) return std::nullopt;
  Bytes bytes(count);
  if (!receive_all(from, bytes.data(), bytes.size())) return std::nullopt;
  return bytes;
}

/// A child that answers files with hdf5_message, until the library crashes in it.
class Child {
 public:
  Child() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
    const pid_t parent = getpid();
    process_ = fork();
    if (process_ < 0) std::abort();
    if (process_ == 0) {
      close(ends[0]);
      serve(ends[1], parent);
    }
    close(ends[1]);
    socket_ = ends[0];
  }
  ~Child() {
    close(socket_);
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// Nothing where the child has crashed, or does not come to an end.
  std::optional<Bytes> ask(const Bytes& file) const {
    return send_bytes(socket_, file) ? receive_bytes(socket_) : std::nullopt;
  }

 private:
  [[noreturn]] static void serve(int socket, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL}) std::signal(signal, SIG_DFL);
    while (const auto file = receive_bytes(socket))
      if (!send_bytes(socket, store::hdf5_message(*file))) break;
    _exit(0);
  }

  int socket_ = -1;
  pid_t process_ = -1;
};

/// The document that the library makes of a file. Throws Error.
store::Document decode(const Bytes& file) {
  static std::unique_ptr<Child> child;
  static int files = 0;
  if (!child || ++files > kFilesPerChild) {
    child.reset();
    child = std::make_unique<Child>();
    files = 0;
  }
  const auto message = child->ask(file);
  if (message) return store::document_of_message(*message);
  child.reset();
  throw Error("the HDF5 library crashed");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
  static const bool warm = warm_up();
  static_cast<void>(warm);
  std::vector<std::uint8_t> file(store::kUserBlock + count);
  std::copy_n(bytes, count, file.begin() + store::kUserBlock);
  try {
    store::Document document = decode(file);
    tests::fix_checksums(document);
    const auto checkpoint = store::decode_checkpoint(store::DocumentReader(document, "fuzz"));
    const std::size_t size = checkpoint.rule.theta.size();
    tests::require(size == static_cast<std::size_t>(checkpoint.rule.layout.size()), "θ fills its layout");
    for (const auto* moment : {&checkpoint.adam_m, &checkpoint.adam_v})
      tests::require(moment->empty() || moment->size() == size, "Adam's moments fit θ");
  } catch (const Error&) {
  }
  return 0;
}
