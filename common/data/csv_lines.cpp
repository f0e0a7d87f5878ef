#include "common/data/csv_lines.h"

#include <cerrno>
#include <cstring>
#include <optional>

#include "common/base/error.h"
#include "common/data/source_files.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kBuffer = std::size_t{1} << 16;
constexpr char kByteOrderMark[] = "\xEF\xBB\xBF";

bool is_blank_line(std::string_view line) {
  return line.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

/// Bytes of the line at `begin` with its end; 0 where its end may lie after the `count` bytes.
std::size_t line_bytes(const char* begin, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    if (begin[i] == '\n') return i + 1;
    if (begin[i] != '\r') continue;
    if (i + 1 == count) return 0;
    return begin[i + 1] == '\n' ? i + 2 : i + 1;
  }
  return 0;
}

/// The separator that a line like "sep=;" declares.
std::optional<char> separator_of(std::string_view line) {
  line = line.substr(0, line.find_first_of("\r\n"));
  if (line.size() > 2 && line.front() == '"' && line.back() == '"') line = line.substr(1, line.size() - 2);
  if (line.size() != 5 || line.substr(0, 4) != "sep=" || line.back() == '"') return std::nullopt;
  return line.back();
}

}  // namespace

CsvLines::CsvLines(const fs::path& path) : name_(path.string()), buffer_(kBuffer, '\0') {
  file_ = gzopen(require_file(path).c_str(), "rb");
  if (file_ == nullptr)
    throw InputError(name_ + ": cannot be opened (" + std::strerror(errno) + "): check the path");
  gzbuffer(file_, 1 << 18);
}

std::string_view CsvLines::next(bool above) {
  while (true) {
    const bool at_start = begins_line_;
    std::string_view line = next_part();
    if (!at_start) return line;
    if (line_ == 1 && line.substr(0, 3) == kByteOrderMark) line.remove_prefix(3);
    if (line.empty() || !above) return line;
    const auto declared = line_ == 1 ? separator_of(line) : std::nullopt;
    if (declared) separator_ = *declared;
    if (!declared && line.front() != '#' && !is_blank_line(line)) return line;
    while (!begins_line_ && !next_part().empty()) {
    }
  }
}

std::string_view CsvLines::next_part() {
  if (begins_line_) ++line_;
  line_text_.clear();
  while (at_ < end_ || fill()) {
    const char* begin = buffer_.data() + at_;
    const bool after_return = !line_text_.empty() && line_text_.back() == '\r';
    if (after_return && *begin != '\n') break;
    const std::size_t whole = after_return ? 1 : line_bytes(begin, end_ - at_);
    const std::size_t count = whole > 0 ? whole : end_ - at_;
    at_ += count;
    if (whole > 0 && line_text_.empty()) {
      begins_line_ = true;
      return {begin, count};
    }
    line_text_.append(begin, count);
    if (whole > 0 || (line_text_.size() > kBuffer && line_text_.back() != '\r')) break;
  }
  begins_line_ = !line_text_.empty() && (line_text_.back() == '\n' || line_text_.back() == '\r');
  return line_text_;
}

void CsvLines::rewind() {
  if (gzrewind(file_) != 0) throw InputError(name_ + ": cannot be read twice: give a file, not a pipe");
  at_ = end_ = 0;
  line_ = 0;
  begins_line_ = true;
}

bool CsvLines::fill() {
  const int got = gzread(file_, buffer_.data(), static_cast<unsigned>(buffer_.size()));
  int status = Z_OK;
  const char* reason = gzerror(file_, &status);
  if (got < 0 || (status != Z_OK && status != Z_STREAM_END))
    throw InputError(name_ + ": cannot be read (" + reason + "): fetch the file again");
  at_ = 0;
  end_ = static_cast<std::size_t>(got);
  return got > 0;
}

}  // namespace outerloop::data
