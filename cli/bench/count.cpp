// outerloop bench engine --count: the reference engine's device operations, counted without a device.
#include "common/rule/engines/count.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/bench/benchmarks.h"
#include "cli/bench/problem.h"
#include "common/store/atomic_file.h"

namespace outerloop::cli {
namespace {

using nlohmann::json;

constexpr std::int64_t kInnerSteps = 5;

/// One truncation of several lanes at one size.
struct Row {
  std::string size;
  std::int64_t lanes = 0, inner_steps = 0;
  rule::OperationCount count;

  double per_step(std::int64_t number) const {
    return static_cast<double>(number) / static_cast<double>(inner_steps);
  }
};

Row count(const BenchSize& size, std::int64_t lanes, const BenchEngineOptions& options) {
  Row row{size.name, lanes, options.inner_steps > 0 ? options.inner_steps : kInnerSteps, {}};
  const auto problem = bench_problem(size, row.inner_steps);
  const std::vector<rule::TruncationLane> all(static_cast<std::size_t>(lanes), {problem.phi, problem.steps});
  row.count =
      rule::count_operations(size.rule, size.architecture, problem.theta, all, options.count_on == "meta");
  return row;
}

json to_json(const Row& row) {
  return {{"size", row.size},
          {"lanes", row.lanes},
          {"k", row.inner_steps},
          {"operations_per_inner_step", row.per_step(row.count.operations)},
          {"copies_per_inner_step", row.per_step(row.count.copies)},
          {"transfers", row.count.transfers},
          {"host_reads", row.count.host_reads},
          {"mixed_devices", row.count.strangers},
          {"operations", row.count.by_name}};
}

}  // namespace

int bench_count(const BenchEngineOptions& options) {
  const auto lane_counts = options.lanes.empty() ? std::vector<std::int64_t>{1, 16} : options.lanes;
  fmt::print("Operations of the reference engine per inner step with its gradient, counted on {}\n\n",
             options.count_on);
  fmt::print("{:<8}{:>6}{:>4}{:>12}{:>13}{:>18}{:>12}{:>15}\n", "size", "lanes", "k", "operations",
             "copies in it", "host and device", "host reads", "mixed devices");
  json result = {{"device", options.count_on}, {"rows", json::array()}};
  for (const auto& name : options.sizes)
    for (const auto lanes : lane_counts) {
      const Row row = count(bench_size(name), lanes, options);
      fmt::print("{:<8}{:>6}{:>4}{:>12.1f}{:>13.1f}{:>18}{:>12}{:>15}\n", row.size, row.lanes,
                 row.inner_steps, row.per_step(row.count.operations), row.per_step(row.count.copies),
                 row.count.transfers, row.count.host_reads, row.count.strangers);
      result["rows"].push_back(to_json(row));
    }
  if (!options.json.empty()) store::write_file_atomically(options.json, result.dump(2) + "\n");
  return 0;
}

}  // namespace outerloop::cli
