#pragma once
// Appends to metrics.jsonl: one JSON object per line.
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "common/store/atomic_file.h"

namespace outerloop::store {

class MetricsLog {
 public:
  /// Opens `path` for appending. Lines whose `update` is beyond `last_update` (and a last line that is cut)
  /// are removed first, atomically; the segment becomes one more than the largest that remains, 0 in a new
  /// file. Throws Error that names the path where it cannot be written, InputError where a whole line is no
  /// JSON object.
  MetricsLog(const std::string& path, std::int64_t last_update);

  /// Appends `line` with "segment" added, in one write. Numbers that are not finite become null. Throws Error
  /// where the disk refuses; the file then ends with the line before.
  void write(const nlohmann::json& line);

  std::int64_t segment() const { return segment_; }

 private:
  std::string path_;
  Descriptor file_;
  std::int64_t segment_ = 0;
};

}  // namespace outerloop::store
