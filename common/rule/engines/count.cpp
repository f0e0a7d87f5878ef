#include "common/rule/engines/count.h"

#include "common/rule/engines/reference_library.h"
#include "common/rule/reference/export.h"

namespace outerloop::rule {

OperationCount count_operations(const RuleOptions& rule, const Architecture& architecture,
                                const std::vector<double>& theta, const std::vector<TruncationLane>& lanes,
                                bool on_meta) {
  static const auto count = reinterpret_cast<decltype(&outerloop_count_truncation)>(
      reference_symbol("outerloop_count_truncation", "--count: LibTorch"));
  OperationCount result;
  count(&rule, &architecture, &theta, &lanes, on_meta, &result);
  return result;
}

}  // namespace outerloop::rule
