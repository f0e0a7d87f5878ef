#pragma once
// Reads metrics.jsonl from its end: where a resume cuts it, as far as that needs to be read.
#include <cstdint>
#include <string>
#include <vector>

#include "common/store/atomic_file.h"

namespace outerloop::store {

/// What a resume from the checkpoint of an update does to a log.
struct MetricsTail {
  std::int64_t size = 0;             ///< bytes of the log
  std::int64_t cut_at = 0;           ///< bytes that stay as they are
  std::string again;                 ///< lines that stay, but stood behind the cut: to be appended
  std::vector<std::string> damaged;  ///< lines that are no JSON object, or out of order: to be set aside
  std::int64_t segment = -1;         ///< the largest of the lines that stay; -1: none stays
};

/// Lines whose `update` is beyond `last_update` go, and a last line that is cut. Reading ends at two updates
/// in order that stay; an event's line (an evaluation, a checkpoint that was written late) may stand behind
/// later updates, and does not count. `path` is for messages. Throws Error where the log cannot be read.
MetricsTail read_tail(const Descriptor& file, const std::string& path, std::int64_t last_update);

}  // namespace outerloop::store
