#pragma once
// Finds where a resume truncates metrics.jsonl, by reading it backwards from its end, only as far as needed.
#include <cstdint>
#include <string>
#include <vector>

#include "common/store/atomic_file.h"

namespace outerloop::store {

/// The changes that a resume from the checkpoint of an update makes to a log.
struct MetricsTail {
  std::int64_t size = 0;             ///< bytes of the log
  std::int64_t cut_at = 0;           ///< bytes that stay unchanged
  std::string again;                 ///< lines that stay, but come after the cut: to be appended
  std::vector<std::string> damaged;  ///< lines that are not a JSON object, or out of order: to be moved
  std::int64_t segment = -1;         ///< the largest of the lines that stay; -1: no line stays
};

/// Lines whose `update` is beyond `last_update`, and a truncated last line, are removed. Reading ends at two
/// successive updates that stay; an event's line (an evaluation, a checkpoint written late) may follow later
/// updates and does not count. `path` is for messages. Throws Error where the log cannot be read.
MetricsTail read_tail(const Descriptor& file, const std::string& path, std::int64_t last_update);

}  // namespace outerloop::store
