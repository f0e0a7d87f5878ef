#include "cli/bench/senders.h"

#include <unistd.h>

#include <cmath>

#include "common/base/error.h"
#include "common/rule/random.h"
#include "common/store/stream_message.h"

namespace outerloop::cli {
namespace {

constexpr int kCoordinator = 0;
constexpr double kSilence = 60.0;  // seconds

proto::WorkerMessage gradient_message(std::uint32_t stream, std::int64_t theta_version) {
  proto::WorkerMessage message;
  auto& gradient = *message.mutable_gradient();
  gradient.set_stream(stream);
  gradient.set_length(5);
  gradient.set_theta_version(theta_version);
  gradient.set_meta_objective(1.0);
  gradient.set_norm(1.0);
  gradient.set_dataset("synthetic");
  return message;
}

}  // namespace

Senders::Senders(net::Transport& transport, std::int64_t floats) : transport_(transport) {
  const rule::Random random(0, static_cast<std::uint32_t>(transport.rank()), 0, rule::Purpose::perturbation);
  double squares = 0.0;
  gradient_.floats.resize(static_cast<std::size_t>(floats));
  for (std::size_t i = 0; i < gradient_.floats.size(); ++i) {
    gradient_.floats[i] = static_cast<float>(random.uniform(static_cast<std::uint32_t>(i)) - 0.5);
    squares += static_cast<double>(gradient_.floats[i]) * gradient_.floats[i];
  }
  for (auto& value : gradient_.floats) value = static_cast<float>(value / std::sqrt(squares));
}

std::size_t Senders::message_bytes() {
  gradient_.header = gradient_message(1, 1).SerializeAsString();
  return net::encode(gradient_).size();
}

void Senders::send_gradient(std::uint32_t stream) {
  gradient_.header = gradient_message(stream, theta_version_).SerializeAsString();
  transport_.send(kCoordinator, gradient_);
  under_way_.push_back(stream);
}

proto::CoordinatorMessage Senders::next_answer() {
  const auto received = transport_.receive(kSilence);
  if (!received) throw Error("bench coordinator: rank 0 has not answered for a minute");
  net::Frame frame = net::decode(received->bytes);
  proto::CoordinatorMessage answer;
  OUTERLOOP_CHECK(answer.ParseFromString(frame.header), "an answer that cannot be read");
  if (!frame.floats.empty()) theta_ = std::move(frame.floats);
  theta_version_ = answer.theta_version();
  return answer;
}

void Senders::run() {
  proto::WorkerMessage hello;
  hello.mutable_hello()->set_protocol(store::kProtocol);
  hello.mutable_hello()->set_pid(getpid());
  transport_.send(kCoordinator, {hello.SerializeAsString(), {}});
  const auto first = next_answer();
  for (const auto& state : first.assign()) send_gradient(state.stream());
  while (!under_way_.empty()) {
    const auto answer = next_answer();
    const std::uint32_t stream = under_way_.front();
    under_way_.pop_front();
    if (answer.command() == proto::CoordinatorMessage::work) send_gradient(stream);
  }
  proto::WorkerMessage farewell;
  farewell.set_farewell(true);
  transport_.send(kCoordinator, {farewell.SerializeAsString(), {}});
  while (next_answer().command() != proto::CoordinatorMessage::released) {
  }
}

}  // namespace outerloop::cli
