#pragma once
// Appends to metrics.jsonl: one JSON object per line.
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "common/store/atomic_file.h"

namespace outerloop::store {

class MetricsLog {
 public:
  /// Opens `path` for appending. Lines whose `update` is beyond `last_update` (and a last line that is cut)
  /// are removed first; the segment becomes one more than the largest that remains, 0 in a new file. The log
  /// is read from its end, only as far as that needs; damaged lines among these go to `path`.damaged, and
  /// warning() says so. Throws Error that names the path where it cannot be read or written.
  MetricsLog(const std::string& path, std::int64_t last_update);

  /// After the file was deleted: goes on in a new one, in the same segment. Throws Error.
  void reopen();

  /// Appends `line` with "segment" added, in one write. Numbers that are not finite become null. Throws Error
  /// where the disk refuses; the file then ends with the line before.
  void write(const nlohmann::json& line);

  std::int64_t segment() const { return segment_; }
  /// What the user should know of the old log; or empty.
  const std::string& warning() const { return warning_; }

 private:
  void open_for_appending();
  void cut(std::int64_t last_update);
  void set_aside(const std::vector<std::string>& lines);

  std::string path_;
  Descriptor file_;
  std::int64_t segment_ = 0;
  std::string warning_;
};

}  // namespace outerloop::store
