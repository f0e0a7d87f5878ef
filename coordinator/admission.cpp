#include "coordinator/admission.h"

#include <fmt/format.h>

#include "common/store/stream_message.h"

namespace outerloop::coordinator {

std::string objection_to(const proto::Hello& hello, const store::RuleFile& rule, bool deterministic) {
  if (hello.protocol() != store::kProtocol)
    return "it is of another version of the program; start all ranks with the same one";
  const bool same = rule.engine == hello.engine() && rule.instruction_set == hello.instruction_set();
  if (deterministic && !same)
    return fmt::format(
        "it computes with {} ({}), the others with {} ({}), and mode = deterministic needs the "
        "same bits everywhere; set engine.instruction_set to what all hosts have",
        hello.engine(), hello.instruction_set(), rule.engine, rule.instruction_set);
  return {};
}

}  // namespace outerloop::coordinator
