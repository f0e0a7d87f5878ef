#include "coordinator/answers.h"

#include "common/store/stream_message.h"
#include "outerloop/messages.pb.h"

namespace outerloop::coordinator {
namespace {

using Command = proto::CoordinatorMessage::Command;

Command command_for(const Member& member, const RunState& run, bool evaluates) {
  if (member.lost) return proto::CoordinatorMessage::refused;
  if (member.farewell && member.leaving) return proto::CoordinatorMessage::released;
  if (run.stop_reason != StopReason::none) return proto::CoordinatorMessage::stop;
  if (evaluates) return proto::CoordinatorMessage::evaluate;
  if (run.wanted_stop != StopReason::none) return proto::CoordinatorMessage::pause;
  return proto::CoordinatorMessage::work;
}

bool goes_on(Command command) {
  return command == proto::CoordinatorMessage::evaluate || command == proto::CoordinatorMessage::pause ||
         command == proto::CoordinatorMessage::work;
}

/// Streams that it gets: what exceeds the limit goes out with later answers.
void add_assigned(Member& member, std::int64_t most_bytes, proto::CoordinatorMessage& message) {
  auto next = member.to_assign.begin();
  for (std::int64_t bytes = 0; next != member.to_assign.end(); ++next) {
    proto::StreamState state = store::to_message(*next);
    bytes += static_cast<std::int64_t>(state.ByteSizeLong());
    if (message.assign_size() > 0 && bytes > most_bytes) break;
    message.mutable_assign()->Add(std::move(state));
  }
  member.to_assign.erase(member.to_assign.begin(), next);
}

/// Moves the member's pending stream changes into `message`.
void add_streams(Member& member, std::int64_t most_bytes, proto::CoordinatorMessage& message) {
  add_assigned(member, most_bytes, message);
  message.mutable_restart()->Add(member.to_restart.begin(), member.to_restart.end());
  message.mutable_give_up()->Add(member.to_give_up.begin(), member.to_give_up.end());
  member.giving_up.insert(member.to_give_up.begin(), member.to_give_up.end());
  member.to_restart.clear();
  member.to_give_up.clear();
}

/// Adds the piece. Returns its θ if the member does not have it yet.
std::vector<float> add_piece(const EvaluationPiece& piece, Member& member, const Evaluations& evaluations,
                             proto::CoordinatorMessage& message) {
  message.mutable_piece()->set_update(piece.update);
  message.mutable_piece()->set_dataset(piece.dataset);
  message.mutable_piece()->set_task(piece.task);
  if (member.evaluated_version == piece.update) return {};
  member.evaluated_version = piece.update;
  return evaluations.theta(piece.update);
}

}  // namespace

Answer make_answer(int to, Member& member, const RunState& run, const std::optional<EvaluationPiece>& piece,
                   bool send_streams) {
  const std::int64_t update = run.learner.update();
  const Command command = command_for(member, run, piece.has_value());
  proto::CoordinatorMessage message;
  message.set_command(command);
  message.set_theta_version(update);
  message.set_segment(run.segment);
  Answer result{to, {}};
  if (goes_on(command)) {
    message.set_send_streams(send_streams);
    add_streams(member, run.assign_bytes, message);
  }
  if (command == proto::CoordinatorMessage::evaluate) {
    result.frame.floats = add_piece(*piece, member, run.evaluations, message);
  } else if (command == proto::CoordinatorMessage::work && member.theta_version != update) {
    result.frame.floats = run.learner.theta();
    member.theta_version = update;
  }
  result.frame.header = message.SerializeAsString();
  return result;
}

std::vector<Answer> release_all(const Membership& membership, const Turnover& turnover, bool finalize) {
  std::vector<Answer> answers;
  for (const auto& [number, member] : membership.members()) {
    if (!member.farewell || turnover.has_left(number)) continue;
    proto::CoordinatorMessage message;
    message.set_command(proto::CoordinatorMessage::released);
    message.set_finalize(finalize);
    answers.push_back({number, {message.SerializeAsString(), {}}});
  }
  return answers;
}

}  // namespace outerloop::coordinator
