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

/// Moves the member's pending stream changes into `message`.
void add_streams(Member& member, proto::CoordinatorMessage& message) {
  for (const auto& state : member.to_assign) *message.add_assign() = store::to_message(state);
  message.mutable_restart()->Add(member.to_restart.begin(), member.to_restart.end());
  message.mutable_give_up()->Add(member.to_give_up.begin(), member.to_give_up.end());
  member.giving_up.insert(member.giving_up.end(), member.to_give_up.begin(), member.to_give_up.end());
  member.to_assign.clear();
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
    add_streams(member, message);
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
