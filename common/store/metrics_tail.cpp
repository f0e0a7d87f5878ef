#include "common/store/metrics_tail.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>

#include "common/base/error.h"

namespace outerloop::store {
namespace {

using nlohmann::json;

constexpr std::int64_t kBlock = 1 << 16;

/// Returns the lines of a file from the last to the first.
class LinesBackwards {
 public:
  LinesBackwards(const Descriptor& file, const std::string& path) : file_(file), path_(path) {
    struct stat status {};
    if (fstat(file.get(), &status) != 0) refuse();
    size_ = block_at_ = status.st_size;
  }

  std::int64_t size() const { return size_; }

  struct Line {
    std::int64_t at = 0;  ///< of its first byte
    std::string text;     ///< without its newline
    bool ended = false;   ///< it had one
  };
  std::optional<Line> next() {
    if (block_at_ == 0 && buffer_.empty()) return std::nullopt;
    if (buffer_.empty()) read_block();
    Line line;
    line.ended = buffer_.back() == '\n';
    if (line.ended) buffer_.pop_back();
    std::size_t newline = buffer_.rfind('\n');
    while (newline == std::string::npos && block_at_ > 0) {
      const std::size_t searched = buffer_.size();
      read_block();
      newline = buffer_.rfind('\n', buffer_.size() - searched - 1);
    }
    const std::size_t begin = newline == std::string::npos ? 0 : newline + 1;
    line.at = block_at_ + static_cast<std::int64_t>(begin);
    line.text = buffer_.substr(begin);
    buffer_.resize(begin);
    return line;
  }

 private:
  [[noreturn]] void refuse() const {
    throw Error(path_ + ": cannot be read: " + std::generic_category().message(errno));
  }

  void read_block() {
    const std::int64_t count = std::min(kBlock, block_at_);
    std::string block(static_cast<std::size_t>(count), '\0');
    for (std::int64_t done = 0; done < count;) {
      const ssize_t got = pread(file_.get(), block.data() + done, static_cast<std::size_t>(count - done),
                                block_at_ - count + done);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) refuse();
      if (got == 0) throw Error(path_ + ": became shorter while it was read");
      done += got;
    }
    block_at_ -= count;
    buffer_.insert(0, block);
  }

  const Descriptor& file_;
  const std::string& path_;
  std::int64_t size_ = 0;
  std::int64_t block_at_ = 0;  ///< in the file, of the buffer's first byte
  std::string buffer_;         ///< data read but not yet returned
};

std::int64_t integer_or(const json& line, const char* key, std::int64_t otherwise) {
  const auto found = line.find(key);
  if (found == line.end() || !found->is_number()) return otherwise;
  if (found->is_number_integer()) return found->get<std::int64_t>();
  const double value = found->get<double>();
  return value > -1e18 && value < 1e18 ? static_cast<std::int64_t>(value) : otherwise;
}

/// A line that stays, unless an earlier line turns out to be removed.
struct Kept {
  std::int64_t at = 0;
  std::string text;
  bool is_update = false;
};

class TailReader {
 public:
  explicit TailReader(std::int64_t last_update) : last_update_(last_update) {}

  void look_at(const LinesBackwards::Line& line) {
    const json parsed = json::parse(line.text, nullptr, false);
    const std::int64_t update = parsed.is_object() ? integer_or(parsed, "update", -1) : -1;
    if (update < 0) {
      if (line.ended) tail_.damaged.push_back(line.text);
      drop(line.at);
      return;
    }
    if (update > last_update_) {
      first_beyond_ = line.at;
      in_order_ = 0;
      drop(line.at);
      return;
    }
    const bool is_update = parsed.find("event") == parsed.end();
    if (!line.ended) drop(line.at);  // it is rewritten, with its newline
    kept_.push_back({line.at, line.text, is_update});
    tail_.segment = std::max(tail_.segment, integer_or(parsed, "segment", 0));
    if (!is_update) return;
    in_order_ = in_order_ == 0 || update <= newest_ ? in_order_ + 1 : 1;
    newest_ = update;
  }

  bool done() const { return in_order_ == 2; }

  MetricsTail finish(std::int64_t size) {
    tail_.size = size;
    tail_.cut_at = std::min(cut_at_, size);
    for (auto line = kept_.rbegin(); line != kept_.rend(); ++line) {
      if (line->at < tail_.cut_at) continue;
      // Updates are in order: a line after one of a later update is damaged.
      if (line->is_update && line->at > first_beyond_)
        tail_.damaged.push_back(line->text);
      else
        tail_.again += line->text + "\n";
    }
    return std::move(tail_);
  }

 private:
  void drop(std::int64_t at) { cut_at_ = at; }

  std::int64_t last_update_;
  std::int64_t cut_at_ = std::numeric_limits<std::int64_t>::max();
  std::int64_t first_beyond_ = std::numeric_limits<std::int64_t>::max();
  std::int64_t newest_ = 0;  ///< update of the previously read line, which follows in the file
  int in_order_ = 0;
  std::vector<Kept> kept_;  ///< from the last to the first
  MetricsTail tail_;
};

}  // namespace

MetricsTail read_tail(const Descriptor& file, const std::string& path, std::int64_t last_update) {
  LinesBackwards lines(file, path);
  TailReader reader(last_update);
  while (!reader.done()) {
    const auto line = lines.next();
    if (!line) break;
    reader.look_at(*line);
  }
  return reader.finish(lines.size());
}

}  // namespace outerloop::store
