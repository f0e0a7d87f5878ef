#include "common/store/metrics.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "common/base/error.h"
#include "common/store/metrics_tail.h"

namespace outerloop::store {
namespace {

using nlohmann::json;

std::string reason(int code) { return std::generic_category().message(code); }

/// Appends all bytes; false if writing fails.
bool append_to(const std::string& path, const std::string& text) {
  const Descriptor file(open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666));
  return file.open() && write_fully(file, text.data(), text.size()) == 0;
}

}  // namespace

MetricsLog::MetricsLog(const std::string& path, std::int64_t last_update) : path_(path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (std::filesystem::is_regular_file(status))
    cut(last_update);
  else if (std::filesystem::exists(status) && !std::filesystem::is_character_file(status))
    throw InputError(path + ": is no regular file; move it away");
  open_for_appending();
}

void MetricsLog::open_for_appending() {
  // Non-blocking, so that a pipe of that name does not block.
  file_ = Descriptor(open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666));
  if (!file_.open()) throw Error(path_ + ": cannot be written: " + reason(errno));
}

void MetricsLog::reopen() { open_for_appending(); }

void MetricsLog::cut(std::int64_t last_update) {
  const Descriptor file(open(path_.c_str(), O_RDWR | O_APPEND | O_CLOEXEC));
  if (!file.open()) throw Error(path_ + ": cannot be opened: " + reason(errno));
  const MetricsTail tail = read_tail(file, path_, last_update);
  segment_ = tail.segment + 1;
  if (tail.cut_at == tail.size) return;
  if (!tail.damaged.empty()) set_aside(tail.damaged);
  if (ftruncate(file.get(), tail.cut_at) != 0) throw Error(path_ + ": cannot be cut: " + reason(errno));
  if (const int code = write_fully(file, tail.again.data(), tail.again.size()))
    throw Error(path_ + ": cannot be written: " + reason(code));
}

void MetricsLog::set_aside(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  const std::string aside = path_ + ".damaged";
  warning_ = path_ + ": " + std::to_string(lines.size()) + (lines.size() == 1 ? " line is" : " lines are") +
             " damaged; " + (append_to(aside, text) ? "moved to " + aside : "left out");
}

void MetricsLog::write(const json& line) {
  json complete = line;
  complete["segment"] = segment_;
  const std::string text = complete.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  struct stat before {};
  const bool known = fstat(file_.get(), &before) == 0 && S_ISREG(before.st_mode);
  if (const int code = write_fully(file_, text.data(), text.size())) {
    // A partial line in the middle of the log would make the lines after it unreadable.
    const bool undone = known && ftruncate(file_.get(), before.st_size) == 0;
    throw Error(path_ + ": cannot be written: " + reason(code) + (undone ? "" : "; its last line is cut"));
  }
}

}  // namespace outerloop::store
