#pragma once
// Operation count of a truncation on LibTorch: device operations, copies and reads by the host.
#include <cstdint>
#include <map>
#include <string>

namespace outerloop::rule {

/// Counts of a whole truncation. An operation is an innermost LibTorch operation that computes or moves
/// numbers, about one or two kernel launches; views and allocations are not counted (the list is in
/// common/rule/reference/count.cpp).
struct OperationCount {
  std::int64_t operations = 0;
  std::int64_t copies = 0;                      ///< of `operations`: within one device
  std::int64_t transfers = 0;                   ///< between host and device, not part of `operations`
  std::int64_t host_reads = 0;                  ///< operations whose result the host waits for
  std::int64_t strangers = 0;                   ///< operations with tensors on more than one device
  std::map<std::string, std::int64_t> by_name;  ///< `operations` apart
};

}  // namespace outerloop::rule
