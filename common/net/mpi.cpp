#include "common/net/mpi.h"

#include <dlfcn.h>
#include <mpi.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <set>
#include <thread>

#include "common/base/cores.h"
#include "common/base/error.h"
#include "common/net/launch.h"
#include "common/net/mpi_check.h"
#include "common/net/start_exchange.h"

namespace outerloop::net {
namespace {

constexpr std::size_t kLargeFrame = 1 << 16;  // bytes
constexpr unsigned kFinalizeSeconds = 30;
constexpr unsigned kAbortSeconds = 10;
// A waiting rank polls after 20 µs, then at growing intervals, to leave the core to ranks that compute.
constexpr std::chrono::microseconds kShortestSleep{20};
constexpr std::chrono::microseconds kLongestSleep{1000};
constexpr std::chrono::microseconds kLongestCrowdedSleep{100'000};  // times the ranks on each core
constexpr long kMostUncrowded = 4;                                  // ranks on a core

/// As peer_has_died(), but the end of number 0 is an Error: without it a worker has nothing to do.
bool died(int peer, int code, const char* call) {
  if (peer != 0) return peer_has_died(code, call);
  check_mpi(code, call);
  return false;
}

/// Ranks of this job per core of this host; 1 if at most kMostUncrowded, which needs no measures.
long ranks_on_a_core() {
  const char* text = std::getenv("OMPI_COMM_WORLD_LOCAL_SIZE");
  if (text == nullptr) return 1;
  const long ranks = std::atol(text) / base::available_cores();
  return ranks > kMostUncrowded ? ranks : 1;
}

/// Open MPI polls every 100 µs while MPI_Init waits for the others: 300 ranks on two cores leave no time for
/// the rest to start. A larger timer slack lets the system wake them less often.
void start_slowly_in_a_crowd(long ranks) {
  if (ranks > 1) prctl(PR_SET_TIMERSLACK, ranks * 100'000L);  // nanoseconds
}

/// Open MPI 4 sends its warnings, e.g. about a broken connection, to mpirun, and waits for an answer in the
/// middle of any call. After the loss of a host the answer never comes (seen with 4.1.4). Without this
/// channel, warnings go directly to stderr. Other versions do not have the function.
void print_warnings_here() {
  if (void* found = dlsym(RTLD_DEFAULT, "orte_show_help_finalize")) reinterpret_cast<void (*)()>(found)();
}

int checked_count(std::size_t bytes) {
  OUTERLOOP_CHECK(bytes <= static_cast<std::size_t>(kMaximumFrameBytes),
                  std::to_string(bytes) + " bytes in a message");
  return static_cast<int>(bytes);
}

}  // namespace

void check_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw Error(std::string(call) + ": " + std::string(text, static_cast<std::size_t>(length)));
}

bool peer_has_died(int code, const char* call) {
#ifdef MPI_ERR_PROC_FAILED
  int kind = MPI_SUCCESS;
  if (code != MPI_SUCCESS) MPI_Error_class(code, &kind);
  if (kind == MPI_ERR_PROC_FAILED || kind == MPI_ERR_PROC_FAILED_PENDING) return true;
#endif
  check_mpi(code, call);
  return false;
}

bool MpiSession::launched() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"})
    if (std::getenv(name) != nullptr) return true;
  return false;
}

MpiSession::MpiSession(int* argc, char*** argv) : initialized_(launched()) {
  if (!initialized_) return;
  const long ranks = ranks_on_a_core();
  longest_sleep_ = std::min(ranks * kLongestSleep, kLongestCrowdedSleep);
  start_slowly_in_a_crowd(ranks);
  int provided = 0;
  check_mpi(MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  print_warnings_here();
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  check_mpi(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(MPI_COMM_WORLD, &size_), "MPI_Comm_size");
  MPI_Comm parent = MPI_COMM_NULL;
  check_mpi(MPI_Comm_get_parent(&parent), "MPI_Comm_get_parent");
  spawned_ = parent != MPI_COMM_NULL;
  if (ranks > 1) prctl(PR_SET_TIMERSLACK, 0L);
  if (rank_ == 0 && !spawned_) longest_sleep_ = kLongestSleep;  // all other ranks wait for this one
  exchange_ = std::make_unique<StartExchange>(rank_, size_);
  if (!local_ranks_by_launcher()) find_local_ranks();
}

/// Takes the numbers from the launcher's variables, without waiting for any other rank.
bool MpiSession::local_ranks_by_launcher() {
  if (size_ == 1) return true;
  const char* rank = std::getenv("OMPI_COMM_WORLD_LOCAL_RANK");
  const char* size = std::getenv("OMPI_COMM_WORLD_LOCAL_SIZE");
  if (rank == nullptr || size == nullptr) return false;
  local_rank_ = std::atoi(rank);
  local_size_ = std::atoi(size);
  return local_rank_ >= 0 && local_rank_ < local_size_ && local_size_ <= size_;
}

/// Ranks with one host name share a host.
void MpiSession::find_local_ranks() {
  const auto hosts = gather_all(host());
  const auto here = hosts.begin() + rank_;
  local_rank_ = static_cast<int>(std::count(hosts.begin(), here, *here));
  local_size_ = static_cast<int>(std::count(hosts.begin(), hosts.end(), *here));
}

MpiSession::~MpiSession() {
  if (abandoned_ || !initialized_) return;
  // MPI_Finalize waits for all ranks; one that dies now must not block the others for ever.
  std::signal(SIGALRM, [](int) { std::_Exit(1); });
  alarm(kFinalizeSeconds);
  MPI_Finalize();
  alarm(0);
}

std::string MpiSession::host() const {
  char name[MPI_MAX_PROCESSOR_NAME] = {};
  if (!initialized_) {
    gethostname(name, sizeof name - 1);
    return name;
  }
  int length = 0;
  check_mpi(MPI_Get_processor_name(name, &length), "MPI_Get_processor_name");
  return std::string(name, static_cast<std::size_t>(length));
}

std::string MpiSession::library_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  check_mpi(MPI_Get_library_version(text, &length), "MPI_Get_library_version");
  const std::string whole(text, static_cast<std::size_t>(length));
  return whole.substr(0, whole.find_first_of(",\n"));
}

bool MpiSession::can_connect(std::string& why) {
  const std::string version = library_version();
  if (version.rfind("Open MPI v4.", 0) != 0)
    why = version + " does not connect processes of different launches; Open MPI 4 does";
  else if (std::getenv("OMPI_MCA_pmix_server_uri") == nullptr)
    why = "there is no ompi-server; start the run with scripts/mpirun";
  return why.empty();
}

/// Sleeps between polls: MPI's own waiting would take the core from ranks that still compute.
void MpiSession::wait_until(const std::function<bool()>& done) const {
  while (!done()) {
    if (while_waiting_) while_waiting_();
    std::this_thread::sleep_for(longest_sleep_);
  }
}

std::string MpiSession::broadcast(const std::string& text) const {
  if (!initialized_) return text;
  return exchange_->broadcast(text, [this](const auto& done) { wait_until(done); });
}

std::vector<std::string> MpiSession::gather_all(const std::string& text) const {
  if (!initialized_) return {text};
  return exchange_->gather_all(text, [this](const auto& done) { wait_until(done); });
}

void MpiSession::abort(int exit_code) {
  leave_status(exit_code);
  // MPI_Abort contacts the launcher, which may be what hangs.
  std::signal(SIGALRM, SIG_DFL);
  alarm(kAbortSeconds);
  int initialized = 0;
  MPI_Initialized(&initialized);
  if (initialized) MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);
}

/// One frame in transit. Nothing waits for it, because the other side may die or stop in the middle.
struct MpiTransport::Transfer {
  int peer = 0;
  std::string bytes;
  MPI_Request request = MPI_REQUEST_NULL;

  enum class State { under_way, done, lost };

  State state() {
    int completed = 0;
    if (died(peer, MPI_Test(&request, &completed, MPI_STATUS_IGNORE), "MPI_Test")) return State::lost;
    return completed != 0 ? State::done : State::under_way;
  }
};

/// The MPI address of a process number.
struct MpiTransport::Peer {
  int number = 0;
  MPI_Comm communicator = MPI_COMM_WORLD;
  int rank = 0;
};

MpiTransport::MpiTransport(const MpiSession& session, int tag)
    : session_(session), tag_(tag), in_world_(!session.spawned()) {
  OUTERLOOP_CHECK(MpiSession::launched(), "a transport without MPI");
  if (in_world_) return;
  peers_.push_back(std::make_unique<Peer>());
  check_mpi(MPI_Comm_get_parent(&peers_.back()->communicator), "MPI_Comm_get_parent");
  MPI_Comm_set_errhandler(peers_.back()->communicator, MPI_ERRORS_RETURN);
}

MpiTransport::MpiTransport(const MpiSession& session, const std::string& port)
    : session_(session), in_world_(false) {
  peers_.push_back(std::make_unique<Peer>());
  MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
  check_mpi(MPI_Comm_connect(port.c_str(), MPI_INFO_NULL, 0, MPI_COMM_SELF, &peers_.back()->communicator),
            "MPI_Comm_connect");
  MPI_Comm_set_errhandler(peers_.back()->communicator, MPI_ERRORS_RETURN);
}

std::string MpiTransport::open_port() {
  MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
  char port[MPI_MAX_PORT_NAME] = {};
  check_mpi(MPI_Open_port(MPI_INFO_NULL, port), "MPI_Open_port");
  return port;
}

int MpiTransport::accept_one(const std::string& port) {
  auto peer = std::make_unique<Peer>();
  check_mpi(MPI_Comm_accept(port.c_str(), MPI_INFO_NULL, 0, MPI_COMM_SELF, &peer->communicator),
            "MPI_Comm_accept");
  return add_peer(std::move(peer));
}

int MpiTransport::add_peer(std::unique_ptr<Peer> peer) {
  peer->number = size() + static_cast<int>(peers_.size());
  MPI_Comm_set_errhandler(peer->communicator, MPI_ERRORS_RETURN);
  peers_.push_back(std::move(peer));
  return peers_.back()->number;
}

int MpiTransport::spawn(const std::string& program, const std::vector<std::string>& arguments,
                        const std::string& environment) {
  std::vector<std::string> words = arguments;
  std::vector<char*> line;
  for (auto& word : words) line.push_back(word.data());
  line.push_back(nullptr);
  auto peer = std::make_unique<Peer>();
  MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
  // Open MPI 5 does not free the slot of a dead process; Open MPI 4 ignores the key.
  MPI_Info info = MPI_INFO_NULL;
  check_mpi(MPI_Info_create(&info), "MPI_Info_create");
  check_mpi(MPI_Info_set(info, "PMIX_MAPBY", "slot:oversubscribe"), "MPI_Info_set");
  if (!environment.empty()) check_mpi(MPI_Info_set(info, "env", environment.c_str()), "MPI_Info_set");
  const int code = MPI_Comm_spawn(program.c_str(), line.data(), 1, info, 0, MPI_COMM_SELF,
                                  &peer->communicator, MPI_ERRCODES_IGNORE);
  MPI_Info_free(&info);
  check_mpi(code, "MPI_Comm_spawn");
  return add_peer(std::move(peer));
}

const MpiTransport::Peer& MpiTransport::peer(int number) const {
  for (const auto& peer : peers_)
    if (peer->number == number) return *peer;
  throw Error("no process of number " + std::to_string(number));
}

// Requests to dead ranks never complete. MPI still owns their buffers, so they are leaked on purpose.
MpiTransport::~MpiTransport() {
  while (!sending_.empty()) forget(sending_.begin()->first);
  for (auto& transfer : receiving_) static_cast<void>(transfer.release());
}

void MpiTransport::send(int to, const Frame& frame) {
  auto sending = std::make_unique<Transfer>();
  sending->peer = to;
  sending->bytes = spare(frame.floats.size() * sizeof(float));
  encode(frame, sending->bytes);
  const bool in_world = in_world_ && to < size();
  const Peer receiver = in_world ? Peer{to, MPI_COMM_WORLD, to} : peer(to);
  const int code = MPI_Isend(sending->bytes.data(), checked_count(sending->bytes.size()), MPI_BYTE,
                             receiver.rank, tag_, receiver.communicator, &sending->request);
  if (died(to, code, "MPI_Isend")) return;
  sending_[to].push_back(std::move(sending));
  progress();
}

/// Frames to one rank leave in order: if the oldest has not left, the others need no check.
void MpiTransport::progress() {
  for (auto it = sending_.begin(); it != sending_.end();) {
    auto& transfers = it->second;
    while (!transfers.empty()) {
      const auto state = transfers.front()->state();
      if (state == Transfer::State::under_way) break;
      if (state == Transfer::State::done)
        recycle(std::move(transfers.front()->bytes));
      else
        static_cast<void>(transfers.front().release());
      transfers.pop_front();
    }
    it = transfers.empty() ? sending_.erase(it) : std::next(it);
  }
}

void MpiTransport::recycle(std::string bytes) {
  constexpr std::size_t kMost = 4;  // frames
  if (bytes.capacity() >= kLargeFrame && spare_.size() < kMost) spare_.push_back(std::move(bytes));
}

/// A buffer for a frame of about `size` bytes. Large ones are reused: the system would have to clear new
/// pages.
std::string MpiTransport::spare(std::size_t size) {
  if (size < kLargeFrame || spare_.empty() || spare_.back().capacity() > 2 * size) return {};
  std::string bytes = std::move(spare_.back());
  spare_.pop_back();
  return bytes;
}

/// Begins to receive announced frames.
void MpiTransport::accept() {
  if (in_world_) accept_from({-1, MPI_COMM_WORLD, MPI_ANY_SOURCE});
  for (const auto& peer : peers_) accept_from(*peer);
}

void MpiTransport::accept_from(const Peer& peer) {
  int announced = 0;
  MPI_Status status;
  MPI_Message message = MPI_MESSAGE_NULL;
  const int code = MPI_Improbe(peer.rank, tag_, peer.communicator, &announced, &message, &status);
  if (died(peer.number, code, "MPI_Improbe") || !announced) return;
  MPI_Count length = 0;
  check_mpi(MPI_Get_elements_x(&status, MPI_BYTE, &length), "MPI_Get_elements_x");
  const int from = peer.number < 0 ? status.MPI_SOURCE : peer.number;
  if (length > most_bytes_ || length < 0) {
    oversize_.push_back({from, {}, std::max<std::int64_t>(length, most_bytes_ + 1)});
    return;
  }
  auto receiving = std::make_unique<Transfer>();
  receiving->peer = from;
  receiving->bytes = spare(static_cast<std::size_t>(length));
  receiving->bytes.resize(static_cast<std::size_t>(length));
  const int begun =
      MPI_Imrecv(receiving->bytes.data(), static_cast<int>(length), MPI_BYTE, &message, &receiving->request);
  if (died(receiving->peer, begun, "MPI_Imrecv")) return;
  receiving_.push_back(std::move(receiving));
}

std::optional<Received> MpiTransport::poll() {
  progress();
  accept();
  std::set<int> behind;  // peers whose next frame is incomplete; later frames must wait
  for (auto it = receiving_.begin(); it != receiving_.end();) {
    Transfer& transfer = **it;
    const auto state = behind.count(transfer.peer) > 0 ? Transfer::State::under_way : transfer.state();
    if (state == Transfer::State::lost) {
      static_cast<void>(it->release());
      it = receiving_.erase(it);
      continue;
    }
    if (state == Transfer::State::under_way) {
      behind.insert(transfer.peer);
      ++it;
      continue;
    }
    Received received{transfer.peer, std::move(transfer.bytes)};
    receiving_.erase(it);
    return received;
  }
  if (oversize_.empty()) return std::nullopt;
  Received report = std::move(oversize_.back());
  oversize_.pop_back();
  return report;
}

std::optional<Received> MpiTransport::receive(double timeout) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(timeout);
  auto sleep = kShortestSleep;
  for (;;) {
    if (auto received = poll()) return received;
    if (std::chrono::steady_clock::now() >= deadline) return std::nullopt;
    std::this_thread::sleep_for(sleep);
    sleep = std::min(sleep * 2, session_.longest_sleep());
  }
}

void MpiTransport::forget(int to) {
  const auto found = sending_.find(to);
  if (found == sending_.end()) return;
  for (auto& transfer : found->second) static_cast<void>(transfer.release());
  sending_.erase(found);
}

bool MpiTransport::flush(double timeout) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(timeout);
  for (progress(); !sending_.empty(); progress()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(kLongestSleep);
  }
  return true;
}

}  // namespace outerloop::net
