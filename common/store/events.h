#pragma once
// TensorBoard event files (events.out.tfevents.*). A file is a sequence of records (length, its CRC, an
// Event, its CRC); the checksums are CRC-32C, masked. Layout: proto/events.proto.
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/rule/layout.h"
#include "common/store/atomic_file.h"

namespace outerloop::store {

class EventLog {
 public:
  /// Creates a new file in `folder`. Readers discard data of older files there for updates after
  /// `last_update`. Throws Error where it cannot be written.
  EventLog(const std::string& folder, std::int64_t last_update);

  // Each function appends one record and throws Error where writing fails; the file then ends with the record
  // before.

  /// Makes readers discard their data of updates after `last_update`.
  void restart(std::int64_t last_update);

  /// The scalars of a line of metrics.jsonl, see scalars_of.
  void scalars(const nlohmann::json& line);

  /// A text, shown verbatim (a code block).
  void text(std::int64_t update, const std::string& tag, const std::string& text);

  /// One histogram per tensor of `layout`, as `group`/NAME.
  void tensors(std::int64_t update, const std::string& group, const rule::Layout& layout,
               const std::vector<double>& values);

  /// A histogram of whole numbers: the count of each.
  void counts(std::int64_t update, const std::string& tag,
              const std::map<std::int64_t, std::int64_t>& counts);

  /// A grey picture, [height, width] row-major, scaled from its smallest to its largest number.
  void picture(std::int64_t update, const std::string& tag, std::int64_t height, std::int64_t width,
               const std::vector<double>& pixels);

 private:
  void append(const std::string& event);

  std::string path_;
  Descriptor file_;
  std::int64_t whole_ = 0;  ///< bytes of complete records
};

/// The curves of a line of metrics: numbers under their own names, objects by dataset or cause as NAME/KEY
/// (without the suffix "_of"), those by domain as NAME_domain/KEY, evaluations as
/// evaluation/ROLE/DATASET/NAME and evaluation_domain/ROLE/DOMAIN/NAME. Numbers by worker, non-finite
/// numbers, and `update` itself are left out.
std::map<std::string, double> scalars_of(const nlohmann::json& line);

/// CRC-32C (Castagnoli), masked as in these files.
std::uint32_t masked_crc32c(std::string_view bytes);

}  // namespace outerloop::store
