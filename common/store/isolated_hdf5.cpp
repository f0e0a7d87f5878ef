#include "common/store/isolated_hdf5.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <system_error>

#include "common/rule/error.h"
#include "common/store/atomic_file.h"
#include "common/store/hdf5.h"

namespace outerloop::store {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kDeadline{60};
// The document is about as large as its file; whatever is far larger comes from a child that has gone astray.
constexpr std::size_t kMostPerByte = 4;
constexpr std::size_t kMostOverhead = 1 << 20;

json to_json(const Attributes& attributes) {
  json object = json::object();
  for (const auto& [name, value] : attributes)
    std::visit([&object, key = name](const auto& v) { object[key] = v; }, value);
  return object;
}

Attributes attributes_from(const json& object) {
  Attributes attributes;
  for (const auto& [name, value] : object.items()) {
    if (value.is_string())
      attributes[name] = value.get<std::string>();
    else if (value.is_number_integer())
      attributes[name] = value.get<std::int64_t>();
    else
      attributes[name] = value.get<double>();
  }
  return attributes;
}

/// What travels from the child: the document, or why there is none.
std::vector<std::uint8_t> message_of(const std::vector<std::uint8_t>& file) {
  json message;
  try {
    const Document document = decode_hdf5(file);
    message["attributes"] = to_json(document.attributes);
    auto& datasets = message["datasets"] = json::object();
    for (const auto& [path, dataset] : document.datasets)
      datasets[path] = {{"type", static_cast<int>(dataset.type)},
                        {"shape", dataset.shape},
                        {"bytes", json::binary(dataset.bytes)},
                        {"attributes", to_json(dataset.attributes)}};
  } catch (const std::exception& error) {
    message = {{"error", error.what()}};
  }
  return json::to_cbor(message);
}

Document document_from(const json& message) {
  if (message.contains("error")) throw Error(message.at("error").get<std::string>());
  Document document;
  document.attributes = attributes_from(message.at("attributes"));
  for (const auto& [path, value] : message.at("datasets").items()) {
    Dataset& dataset = document.datasets[path];
    dataset.type = static_cast<ElementType>(value.at("type").get<int>());
    dataset.shape = value.at("shape").get<std::vector<std::int64_t>>();
    dataset.bytes = value.at("bytes").get_binary();
    dataset.attributes = attributes_from(value.at("attributes"));
  }
  return document;
}

/// The child: never returns, and leaves nothing of the parent's behind.
[[noreturn]] void run_child(const std::vector<std::uint8_t>& file, const Descriptor& out) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGXCPU}) std::signal(signal, SIG_DFL);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  const auto seconds = static_cast<rlim_t>(kDeadline.count());
  const rlimit processor{seconds, seconds};
  setrlimit(RLIMIT_CPU, &processor);
  // A crash of the library is told by the parent, in one line.
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere >= 0) dup2(nowhere, STDERR_FILENO);
  int status = 1;
  try {
    const auto message = message_of(file);
    status = write_fully(out, message.data(), message.size()) == 0 ? 0 : 1;
  } catch (...) {
  }
  _exit(status);
}

/// Everything up to the end of the pipe; false where that does not come in time, or is far too much.
bool read_to_end(const Descriptor& in, std::size_t most, std::vector<std::uint8_t>& bytes) {
  const auto deadline = Clock::now() + kDeadline;
  std::vector<std::uint8_t> part(std::size_t{1} << 16);
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd wait{in.get(), POLLIN, 0};
    const int ready = left > 0 ? poll(&wait, 1, static_cast<int>(left)) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    const ssize_t count = ::read(in.get(), part.data(), part.size());
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

Document decode_hdf5_isolated(const std::vector<std::uint8_t>& bytes) {
  const auto reason = [] { return std::generic_category().message(errno); };
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw Error("no pipe to read HDF5 through: " + reason());
  const Descriptor in(ends[0]);
  Descriptor out(ends[1]);
  const pid_t child = fork();
  if (child < 0) throw Error("no process to read HDF5 in: " + reason());
  if (child == 0) run_child(bytes, out);
  out.close();
  std::vector<std::uint8_t> answer;
  const bool complete = read_to_end(in, bytes.size() * kMostPerByte + kMostOverhead, answer);
  if (!complete) kill(child, SIGKILL);
  const int status = wait_for(child);
  if (!complete) throw Error("damaged: the HDF5 library did not come to an end with it");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) throw Error("damaged: the HDF5 library crashed on it");
  const json message = json::from_cbor(answer, true, false);
  if (!message.is_object()) throw Error("damaged: the HDF5 library made no document of it");
  try {
    return document_from(message);
  } catch (const json::exception&) {
    throw Error("damaged: the HDF5 library made no document of it");
  }
}

}  // namespace outerloop::store
