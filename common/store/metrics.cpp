#include "common/store/metrics.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "common/base/error.h"

namespace outerloop::store {
namespace {

using nlohmann::json;

std::string reason(int code) { return std::generic_category().message(code); }

/// What stays of an old log.
struct Kept {
  std::string text;
  bool changed = false;       ///< something was cut
  std::int64_t segment = -1;  ///< the largest that stays
};

std::int64_t integer_or(const json& line, const char* key, std::int64_t otherwise) {
  const auto found = line.find(key);
  if (found == line.end() || !found->is_number()) return otherwise;
  return found->is_number_integer() ? found->get<std::int64_t>()
                                    : static_cast<std::int64_t>(found->get<double>());
}

/// Adds one line of the old log; `ended` tells whether it had its newline.
void keep_line(const std::string& path, std::int64_t number, const std::string& text, bool ended,
               std::int64_t last_update, Kept& kept) {
  const auto line = json::parse(text, nullptr, false);
  if (!line.is_object()) {
    if (ended)
      throw InputError(path + ":" + std::to_string(number) +
                       ": no JSON object; repair or remove that line to go on");
    kept.changed = true;
    return;
  }
  if (integer_or(line, "update", -1) > last_update) {
    kept.changed = true;
    return;
  }
  if (!ended) kept.changed = true;
  kept.text += text + "\n";
  kept.segment = std::max(kept.segment, integer_or(line, "segment", 0));
}

Kept read_old(const std::string& path, std::int64_t last_update) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw Error(path + ": cannot be read: " + reason(errno));
  Kept kept;
  std::string text;
  for (std::int64_t number = 1; std::getline(stream, text); ++number)
    keep_line(path, number, text, !stream.eof(), last_update, kept);
  if (stream.bad()) throw Error(path + ": cannot be read to its end");
  return kept;
}

}  // namespace

MetricsLog::MetricsLog(const std::string& path, std::int64_t last_update) : path_(path) {
  std::error_code error;
  if (std::filesystem::is_regular_file(path, error)) {
    const Kept kept = read_old(path, last_update);
    if (kept.changed) write_file_atomically(path, kept.text);
    segment_ = kept.segment + 1;
  }
  file_ = Descriptor(open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666));
  if (!file_.open()) throw Error(path + ": cannot be written: " + reason(errno));
}

void MetricsLog::write(const json& line) {
  json complete = line;
  complete["segment"] = segment_;
  const std::string text = complete.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  struct stat before {};
  const bool known = fstat(file_.get(), &before) == 0 && S_ISREG(before.st_mode);
  if (const int code = write_fully(file_, text.data(), text.size())) {
    // Half a line in the middle of the log would make every line after it unreadable.
    const bool undone = known && ftruncate(file_.get(), before.st_size) == 0;
    throw Error(path_ + ": cannot be written: " + reason(code) + (undone ? "" : "; its last line is cut"));
  }
}

}  // namespace outerloop::store
