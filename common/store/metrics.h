#pragma once
// Writer of metrics.jsonl: one JSON object per line.
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "common/store/atomic_file.h"

namespace outerloop::store {

class MetricsLog {
 public:
  /// Opens `path` for appending; throws InputError where it is neither a file nor a device. Lines whose
  /// `update` is beyond `last_update`, and a truncated last line, are removed first. The segment becomes one
  /// more than the largest that remains, 0 in a new file. The log is read backwards from its end, only as far
  /// as needed; damaged lines found there are moved to `path`.damaged and reported by warning(). Throws Error
  /// that names the path where it cannot be read or written.
  MetricsLog(const std::string& path, std::int64_t last_update);

  /// After the file was deleted: continues in a new one, in the same segment. Throws Error.
  void reopen();

  /// Appends `line` with "segment" added, in one write. Numbers that are not finite become null. Throws Error
  /// where writing fails; the file then ends with the line before.
  void write(const nlohmann::json& line);

  std::int64_t segment() const { return segment_; }
  /// A warning about the old log for the user, or empty.
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
