#include "coordinator/admission.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "common/base/text.h"
#include "common/store/stream_message.h"

namespace outerloop::coordinator {
namespace {

template <class Numbers>
bool all_finite(const Numbers& numbers) {
  return std::all_of(numbers.begin(), numbers.end(), [](double value) { return std::isfinite(value); });
}

bool is_finite(const proto::LaneState& lane) {
  return all_finite(lane.phi()) &&
         std::all_of(lane.pairs().begin(), lane.pairs().end(), [](const auto& pair) {
           return all_finite(pair.noise()) && all_finite(pair.phi_plus()) && all_finite(pair.phi_minus());
         });
}

/// Whether a checkpoint can hold the lane, and a worker resume it: φ must be as long as its base model needs.
bool sizes_fit(const proto::LaneState& lane, std::size_t theta, const CoordinatorOptions& options) {
  if (options.phi_fits && !options.phi_fits({lane.units().begin(), lane.units().end()},
                                            static_cast<std::size_t>(lane.phi_size())))
    return false;
  return std::all_of(lane.pairs().begin(), lane.pairs().end(), [&](const auto& pair) {
    return static_cast<std::size_t>(pair.noise_size()) == theta && pair.phi_plus_size() == lane.phi_size() &&
           pair.phi_minus_size() == lane.phi_size();
  });
}

/// Why the state of a lane of stream `number` is rejected; empty if it is valid.
std::string objection_to(const proto::LaneState& lane, std::uint32_t number, std::size_t theta,
                         const CoordinatorOptions& options) {
  if (lane.step() < 0) return fmt::format("it sent stream {} with a lane at step {}", number, lane.step());
  if (lane.phi_size() == 0) return fmt::format("it sent stream {} with a lane that has no φ", number);
  if (!is_finite(lane)) return fmt::format("it sent stream {} with numbers that are not finite", number);
  if (!sizes_fit(lane, theta, options))
    return fmt::format("it sent stream {} with φ of another size than its units have", number);
  const auto& datasets = options.datasets;
  if (!datasets.empty() && datasets.count(lane.dataset()) == 0)
    return fmt::format("it sent stream {} of a dataset that the run does not have", number);
  return {};
}

}  // namespace

std::string objection_to(const proto::Hello& hello, const store::RuleFile& rule, bool deterministic) {
  if (hello.protocol() != store::kProtocol)
    return "it runs another version of the program; start all ranks with the same version";
  const bool same = rule.engine == hello.engine() && rule.instruction_set == hello.instruction_set();
  if (deterministic && !same)
    return fmt::format(
        "it computes with {} ({}), the others with {} ({}), and mode = deterministic needs the "
        "same bits everywhere; set engine.instruction_set to what all hosts have",
        base::printable(hello.engine()), base::printable(hello.instruction_set()), rule.engine,
        rule.instruction_set);
  return {};
}

std::string dataset_name(const std::string& key) {
  const std::size_t number = key.find_first_of("0123456789");
  return key.substr(key.find('.', std::min(number, key.size())) + 1);
}

std::vector<std::string> differences_of(const proto::Hello& hello, const CoordinatorOptions& options) {
  std::vector<std::string> lines;
  const std::string host = base::printable(hello.host());
  for (const auto& [key, sha256] : options.dataset_sha256) {
    const auto found = hello.datasets().find(key);
    if (found == hello.datasets().end() || found->second != sha256)
      lines.push_back(
          fmt::format("dataset {} differs between hosts: a worker on {} joined with other data than the "
                      "run's; give all hosts the same data",
                      dataset_name(key), host));
  }
  const auto known = [](const std::string& revision) {
    return revision.find("unknown") == std::string::npos;
  };
  if (hello.revision() != options.revision && known(hello.revision()) && known(options.revision))
    lines.push_back(
        fmt::format("the program differs between hosts: {} on {}, {} in the run; install the same one",
                    base::printable(hello.revision()), host, options.revision));
  return lines;
}

std::string objection_to(const proto::StreamState& state, const std::set<std::uint32_t>& owned,
                         std::int64_t update, std::size_t theta, const CoordinatorOptions& options) {
  const auto number = state.stream();
  if (owned.count(number) == 0) return fmt::format("it sent stream {}, which is not its own", number);
  if (state.step() < 0 || state.begun_at() < 0 || state.begun_at() > update)
    return fmt::format("it sent stream {} at step {}, begun at update {}", number, state.step(),
                       state.begun_at());
  if (state.lanes_size() != 0 && state.lanes_size() != options.group)
    return fmt::format("it sent stream {} with {} lanes, and the run has {} (tasks.group)", number,
                       state.lanes_size(), options.group);
  for (const auto& lane : state.lanes())
    if (auto objection = objection_to(lane, number, theta, options); !objection.empty()) return objection;
  return {};
}

}  // namespace outerloop::coordinator
