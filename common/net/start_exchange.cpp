#include "common/net/start_exchange.h"

#include <mpi.h>

#include <cstdint>
#include <cstring>

#include "common/base/error.h"
#include "common/net/mpi_check.h"
#include "common/net/transport.h"

namespace outerloop::net {
namespace {

constexpr int kExchangeTag = 4;

using Length = std::uint64_t;

/// One after another, each behind its length.
std::string packed(const std::vector<std::string>& texts) {
  std::string all;
  for (const auto& text : texts) {
    const Length length = text.size();
    all.append(reinterpret_cast<const char*>(&length), sizeof length);
    all += text;
  }
  return all;
}

std::vector<std::string> unpacked(const std::string& all) {
  std::vector<std::string> texts;
  for (std::size_t at = 0; at < all.size();) {
    Length length = 0;
    OUTERLOOP_CHECK(all.size() - at >= sizeof length, "a start message ends early");
    std::memcpy(&length, all.data() + at, sizeof length);
    at += sizeof length;
    OUTERLOOP_CHECK(all.size() - at >= length, "a start message ends early");
    texts.push_back(all.substr(at, length));
    at += length;
  }
  return texts;
}

}  // namespace

struct StartExchange::Message {
  std::string bytes;
  MPI_Request request = MPI_REQUEST_NULL;
  bool lost = false;  ///< the other side has died: never done

  bool done() {
    int completed = 0;
    if (lost || peer_has_died(MPI_Test(&request, &completed, MPI_STATUS_IGNORE), "MPI_Test")) lost = true;
    return !lost && completed != 0;
  }
};

StartExchange::StartExchange(int rank, int size) : rank_(rank), size_(size) {}

// Messages to and from a rank that died never complete, and MPI may still write to them: they are leaked.
StartExchange::~StartExchange() {
  for (auto& message : under_way_) static_cast<void>(message.release());
}

void StartExchange::send(int to, std::string text) {
  OUTERLOOP_CHECK(text.size() <= static_cast<std::size_t>(kMaximumFrameBytes),
                  std::to_string(text.size()) + " bytes in a start message");
  under_way_.push_back(std::make_unique<Message>());
  auto& message = *under_way_.back();
  message.bytes = std::move(text);
  message.lost = peer_has_died(MPI_Isend(message.bytes.data(), static_cast<int>(message.bytes.size()),
                                         MPI_BYTE, to, kExchangeTag, MPI_COMM_WORLD, &message.request),
                               "MPI_Isend");
}

std::string StartExchange::receive(int from, const WaitUntil& wait_until) {
  MPI_Message announced = MPI_MESSAGE_NULL;
  MPI_Status status;
  wait_until([&] {
    int there = 0;
    return !peer_has_died(MPI_Improbe(from, kExchangeTag, MPI_COMM_WORLD, &there, &announced, &status),
                          "MPI_Improbe") &&
           there != 0;
  });
  MPI_Count length = 0;
  check_mpi(MPI_Get_elements_x(&status, MPI_BYTE, &length), "MPI_Get_elements_x");
  OUTERLOOP_CHECK(length >= 0 && length <= kMaximumFrameBytes,
                  std::to_string(length) + " bytes in a start message");
  under_way_.push_back(std::make_unique<Message>());
  const auto receiving = std::prev(under_way_.end());
  auto& message = **receiving;
  message.bytes.resize(static_cast<std::size_t>(length));
  const int code =
      MPI_Imrecv(message.bytes.data(), static_cast<int>(length), MPI_BYTE, &announced, &message.request);
  message.lost = peer_has_died(code, "MPI_Imrecv");
  wait_until([&] { return message.done(); });
  std::string text = std::move(message.bytes);
  under_way_.erase(receiving);
  return text;
}

bool StartExchange::all_sent() {
  while (!under_way_.empty() && under_way_.front()->done()) under_way_.pop_front();
  return under_way_.empty();
}

std::vector<std::string> StartExchange::gather_all(const std::string& text, const WaitUntil& wait_until) {
  std::vector<std::string> all = {text};
  if (rank_ == 0) {
    for (int rank = 1; rank < size_; ++rank) all.push_back(receive(rank, wait_until));
    broadcast(packed(all), wait_until);
    return all;
  }
  send(0, text);
  return unpacked(broadcast({}, wait_until));
}

std::string StartExchange::broadcast(const std::string& text, const WaitUntil& wait_until) {
  std::string result = rank_ == 0 ? text : receive(0, wait_until);
  if (rank_ == 0)
    for (int rank = 1; rank < size_; ++rank) send(rank, text);
  wait_until([&] { return all_sent(); });
  return result;
}

}  // namespace outerloop::net
