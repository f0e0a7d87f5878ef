// Test of the simulation itself: deliberate bugs, planted into messages and checkpoints, must be caught.
#include <algorithm>

#include "tests/catch.h"
#include "tests/simulation/job.h"

using namespace outerloop;
using namespace outerloop::simulation;

namespace {

constexpr std::uint64_t kSeeds = 300;

/// Seeds with `deterministic` or without.
template <class Planted>
std::int64_t caught(bool deterministic, const std::string& expected, std::string& said) {
  std::int64_t count = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Scenario scenario = draw_scenario(seed);
    if (scenario.options.deterministic != deterministic) continue;
    Planted saboteur;
    try {
      Job(scenario, &saboteur).run();
    } catch (const std::exception& error) {
      said = error.what();
      count += said.find(expected) != std::string::npos ? 1 : 0;
    }
  }
  return count;
}

struct Nothing : Saboteur {};

/// The third gradient arrives twice.
struct AppliedTwice : Saboteur {
  int to_coordinator(proto::WorkerMessage& message, std::vector<float>&) override {
    return message.has_gradient() && ++seen == 3 ? 2 : 1;
  }
  int seen = 0;
};

/// Every checkpoint has the last stream's state reset: it would start again from its first task.
struct ForgottenInCheckpoint : Saboteur {
  void checkpoint(store::Checkpoint& checkpoint) override {
    if (checkpoint.streams.empty()) return;
    const auto number = checkpoint.streams.back().stream;
    checkpoint.streams.back() = store::StreamState();
    checkpoint.streams.back().stream = number;
  }
};

/// Every checkpoint lacks its last stream altogether.
struct LackingInCheckpoint : Saboteur {
  void checkpoint(store::Checkpoint& checkpoint) override {
    if (!checkpoint.streams.empty()) checkpoint.streams.pop_back();
  }
};

/// Workers omit one of their streams when they must return all.
struct ForgottenByWorker : Saboteur {
  int to_coordinator(proto::WorkerMessage& message, std::vector<float>&) override {
    const bool ahead = message.kind_case() == proto::WorkerMessage::KIND_NOT_SET;
    if (message.streams_size() > 0 && !ahead) message.mutable_streams()->RemoveLast();
    return 1;
  }
};

/// A stream's φ is a little off in every checkpoint.
struct PhiOff : Saboteur {
  void checkpoint(store::Checkpoint& checkpoint) override {
    for (auto& stream : checkpoint.streams)
      if (!stream.lanes.empty()) stream.lanes.back().phi[0] += 1e-5;
  }
};

/// Adam's second moment is not kept.
struct AdamForgotten : Saboteur {
  void checkpoint(store::Checkpoint& checkpoint) override {
    for (auto& value : checkpoint.adam_v) value = 0.0;
  }
};

/// The safe point in every checkpoint is a little off.
struct SafePointOff : Saboteur {
  void checkpoint(store::Checkpoint& checkpoint) override {
    if (checkpoint.safe_point) checkpoint.safe_point->theta[0] += 1e-3f;
  }
};

/// Steps back are not counted in checkpoints: the learning rate of a resumed run is too large.
struct StepsForgotten : Saboteur {
  void checkpoint(store::Checkpoint& checkpoint) override {
    checkpoint.counters.erase(coordinator::kStepsBack);
  }
};

/// Checkpoints lose when a stream's task began: a curriculum would let it run for longer.
struct BeginningForgotten : Saboteur {
  void checkpoint(store::Checkpoint& checkpoint) override {
    for (auto& stream : checkpoint.streams) stream.begun_at = 1000;
  }
};

/// Workers do not get the message that a stream begins its next task.
struct RestartForgotten : Saboteur {
  void to_worker(proto::CoordinatorMessage& message, std::vector<float>&) override {
    message.clear_restart();
  }
};

/// One worker's θ is a little off, once.
struct ThetaOff : Saboteur {
  void to_worker(proto::CoordinatorMessage& message, std::vector<float>& theta) override {
    if (message.command() != proto::CoordinatorMessage::evaluate && !theta.empty() && ++seen == 2)
      theta[0] += 1e-3f;
  }
  int seen = 0;
};

/// A worker claims that its gradients belong to the newest θ it received, whatever θ it used.
struct FalseVersion : Saboteur {
  int to_coordinator(proto::WorkerMessage& message, std::vector<float>&) override {
    if (message.has_gradient()) message.mutable_gradient()->set_theta_version(newest + 1);
    return 1;
  }
  void to_worker(proto::CoordinatorMessage& message, std::vector<float>&) override {
    newest = std::max(newest, message.theta_version());
  }
  std::int64_t newest = 0;
};

/// A stream that moves to another worker begins its next task instead of continuing its current one.
struct GivenUpElsewhere : Saboteur {
  int to_coordinator(proto::WorkerMessage& message, std::vector<float>&) override {
    for (auto& stream : *message.mutable_given_up()) {
      stream.set_task(stream.task() + 1);
      stream.set_step(0);
      stream.clear_lanes();
    }
    return 1;
  }
};

/// Workers keep the streams that they must give up.
struct NothingGivenUp : Saboteur {
  void to_worker(proto::CoordinatorMessage& message, std::vector<float>&) override {
    message.clear_give_up();
  }
};

/// Gradients are removed from messages: the coordinator receives only that the worker waits.
struct Vanishing : Saboteur {
  int to_coordinator(proto::WorkerMessage& message, std::vector<float>& floats) override {
    if (!message.has_gradient() || ++seen != 3) return 1;
    message.set_waiting(true);
    floats.clear();
    return 1;
  }
  int seen = 0;
};

/// One task's result is a little off.
struct EvaluationOff : Saboteur {
  int to_coordinator(proto::WorkerMessage& message, std::vector<float>&) override {
    auto* evaluated = message.has_evaluated() ? message.mutable_evaluated() : nullptr;
    if (evaluated != nullptr && ++seen == 2)
      evaluated->set_meta_objective(evaluated->meta_objective() + 1e-9);
    return 1;
  }
  int seen = 0;
};

/// A worker evaluates a θ that is a little off.
struct EvaluatedThetaOff : Saboteur {
  void to_worker(proto::CoordinatorMessage& message, std::vector<float>& theta) override {
    if (message.command() == proto::CoordinatorMessage::evaluate && !theta.empty()) theta[0] += 1e-3f;
  }
};

/// Workers evaluate with their training θ, not with its average.
struct AverageForgotten : Saboteur {
  void to_worker(proto::CoordinatorMessage& message, std::vector<float>& theta) override {
    const bool evaluate = message.command() == proto::CoordinatorMessage::evaluate;
    if (!theta.empty() && !evaluate) trained = theta;
    if (!theta.empty() && evaluate && !trained.empty()) theta = trained;
  }
  std::vector<float> trained;
};

/// Occasionally evaluated tasks are lost in transit, or the worker did a different one.
struct OtherPiece : Saboteur {
  int to_coordinator(proto::WorkerMessage& message, std::vector<float>&) override {
    if (!message.has_evaluated() || ++seen % 3 == 0) return 1;
    if (seen % 3 == 1)
      message.mutable_evaluated()->mutable_piece()->set_task(17);
    else
      message.set_waiting(true);
    return 1;
  }
  int seen = 0;
};

}  // namespace

TEST_CASE("without a planted bug the same seeds pass") {
  std::string said;
  CHECK(caught<Nothing>(false, "", said) == 0);
  CHECK(caught<Nothing>(true, "", said) == 0);
  CHECK(said == "");
}

TEST_CASE("a gradient that is applied twice is caught in most runs") {
  std::string said;
  CHECK(caught<AppliedTwice>(false, "applied twice", said) > 50);
  CHECK(caught<AppliedTwice>(true, "twice", said) > 50);
}

TEST_CASE("a stream that is forgotten in a checkpoint is caught where the run continues from it") {
  std::string said;
  CHECK(caught<ForgottenInCheckpoint>(true, "bits", said) > 5);
  CHECK(caught<LackingInCheckpoint>(true, "streams", said) > 5);
  CHECK(caught<ForgottenByWorker>(true, "a checkpoint has stream", said) > 50);
  CHECK(caught<ForgottenByWorker>(false, "a checkpoint has stream", said) > 30);
}

TEST_CASE("a wrong φ, lost moments of Adam, or a wrong θ shows in θ's bits at the end") {
  std::string said;
  CHECK(caught<PhiOff>(true, "other bits", said) > 5);
  CHECK(caught<AdamForgotten>(true, "other bits", said) > 5);
  CHECK(caught<ThetaOff>(true, "other bits", said) > 50);
}

TEST_CASE("a wrong safe point, a forgotten step back, and a forgotten beginning of a task show in θ's bits") {
  std::string said;
  CHECK(caught<SafePointOff>(true, "other bits", said) > 0);
  CHECK(caught<StepsForgotten>(true, "other bits", said) > 0);
  CHECK(caught<BeginningForgotten>(true, "other bits", said) > 0);
}

TEST_CASE("a refused gradient whose stream goes on in its task is caught") {
  std::string said;
  // Where a stream has several lanes, its worker begins their next tasks by itself.
  CHECK(caught<RestartForgotten>(true, "wrong place", said) > 12);
}

TEST_CASE("a stream that changes hands in the wrong place, or not at all, is caught") {
  std::string said;
  CHECK(caught<GivenUpElsewhere>(false, "wrong place", said) > 5);
  CHECK(caught<NothingGivenUp>(false, "has no streams", said) > 1);
}

TEST_CASE("a false version and a vanished gradient are caught") {
  std::string said;
  CHECK(caught<FalseVersion>(false, "does not exist yet", said) > 50);
  CHECK(caught<Vanishing>(true, "no end", said) > 10);
}

TEST_CASE("a wrong evaluation is caught, and a task that nobody did is dealt out again") {
  std::string said;
  for (const bool deterministic : {false, true}) {
    CHECK(caught<EvaluationOff>(deterministic, "not what its θ gives", said) > 30);
    CHECK(caught<EvaluatedThetaOff>(deterministic, "not what its θ gives", said) > 30);
    CHECK(caught<AverageForgotten>(deterministic, "not what its θ gives", said) > 10);
    said.clear();
    caught<OtherPiece>(deterministic, "", said);
    CHECK(said == "");
  }
}
