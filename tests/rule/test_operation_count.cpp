// Operation count of a truncation on LibTorch: few operations, the same number for any number of lanes, no
// reads by the host, and all tensors of an operation on one device. Counted on the meta device, and on the
// CPU.
#include <cstdio>
#include <map>
#include <string>

#include "common/rule/engines/count.h"
#include "tests/catch.h"
#include "tests/rule/problem.h"

namespace outerloop::tests {
namespace {

constexpr std::int64_t kSteps = 5;

/// The sizes of `outerloop bench engine`.
Problem problem_of(std::int64_t channels, std::int64_t delta, std::vector<std::int64_t> units,
                   std::int64_t batch) {
  auto options = small_neuron_local();
  auto& size = options.neuron_local;
  size = rule::paper_size();
  size.hidden_channels = size.top_channels = channels;
  size.delta_channels = delta;
  ProblemSize problem;
  problem.units = std::move(units);
  problem.batch = batch;
  problem.way = 10;
  problem.per_class = 10;
  problem.steps = kSteps;
  return make_problem(options, problem);
}

Problem laptop() { return problem_of(16, 8, {196, 48, 48, 32}, 64); }
Problem paper() { return problem_of(64, 32, {196, 128, 128, 128, 128, 32}, 128); }

rule::OperationCount count(const Problem& problem, std::size_t lanes, bool on_meta = true) {
  const std::vector<rule::TruncationLane> all(lanes, {problem.phi, problem.steps});
  return rule::count_operations(problem.rule, problem.architecture, problem.theta, all, on_meta);
}

double per_step(const rule::OperationCount& count) {
  return static_cast<double>(count.operations) / static_cast<double>(kSteps);
}

/// With add_ counted as add, and ones as fill_: whether autograd adds gradients in place, and whether ones
/// calls fill_, depends on the device and on LibTorch's version.
std::map<std::string, std::int64_t> by_name(const rule::OperationCount& count) {
  auto result = count.by_name;
  if (const auto in_place = result.extract("add_")) result["add"] += in_place.mapped();
  if (const auto ones = result.extract("ones")) result["fill_"] += ones.mapped();
  return result;
}

/// The operations that a and b count differently, e.g. "add 12 and 13\n".
std::string differences(std::map<std::string, std::int64_t> a, std::map<std::string, std::int64_t> b) {
  for (const auto& [name, number] : b) a.try_emplace(name, 0);
  std::string text;
  for (const auto& [name, number] : a)
    if (number != b[name])
      text += name + " " + std::to_string(number) + " and " + std::to_string(b[name]) + "\n";
  return text;
}

void check_device(const rule::OperationCount& count) {
  CHECK(count.host_reads == 0);
  CHECK(count.strangers == 0);
  CHECK(count.transfers == 2);  // all inputs to the device, all results back
}

void check_size(const char* name, const Problem& problem, double most) {
  const auto one = count(problem, 1), sixteen = count(problem, 16);
  std::printf("%s: %.1f operations per inner step with its gradient, %.1f of them copies\n", name,
              per_step(one), static_cast<double>(one.copies) / kSteps);
  for (const auto& [operation, number] : one.by_name)
    std::printf("  %-28s %8.1f\n", operation.c_str(), static_cast<double>(number) / kSteps);
  INFO(name);
  CHECK(per_step(one) <= most);
  CHECK(sixteen.by_name == one.by_name);
  check_device(one);
  check_device(sixteen);
}

}  // namespace

TEST_CASE("an inner step with its gradient takes few operations, whatever the number of lanes") {
  check_size("laptop", laptop(), 1200);
  check_size("paper", paper(), 1580);
}

TEST_CASE("the CPU counts what the meta device counts") {
  const auto problem = laptop();
  const auto meta = count(problem, 1), cpu = count(problem, 1, false);
  CHECK(differences(by_name(cpu), by_name(meta)) == "");
  CHECK(cpu.transfers == 0);
  CHECK(cpu.host_reads == 0);
}

}  // namespace outerloop::tests
