#include "common/data/csv.h"

#include <csv.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <set>
#include <utility>

#include "common/base/error.h"
#include "common/data/csv_number.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kHead = std::size_t{1} << 18;  // bytes from which separator and header are detected
constexpr std::size_t kHeadRows = 200;
constexpr std::size_t kBuffer = std::size_t{1} << 16;
constexpr std::size_t kMostField = std::size_t{1} << 20;
constexpr char kByteOrderMark[] = "\xEF\xBB\xBF";
// If two fit equally well, the first is the separator: numbers may contain commas, and texts tabs.
constexpr std::array<char, 3> kSeparators = {';', '\t', ','};

struct Row {
  std::vector<std::string> fields;
  std::int64_t line = 0;
};

// States of libcsv's parser.
constexpr int kNoRow = 0, kInField = 2;

/// Wrapper of libcsv: takes bytes, returns rows.
class RowParser {
 public:
  explicit RowParser(char separator) {
    OUTERLOOP_CHECK(csv_init(&parser_, 0) == 0, "libcsv does not start");
    csv_set_delim(&parser_, static_cast<unsigned char>(separator));
    csv_set_space_func(&parser_, separator == '\t' ? is_blank : is_space);
  }
  ~RowParser() { csv_free(&parser_); }
  RowParser(const RowParser&) = delete;
  RowParser& operator=(const RowParser&) = delete;

  /// Parses `count` bytes of line number `line`. False if libcsv rejects them.
  bool feed(const char* bytes, std::size_t count, std::int64_t line) {
    if (parser_.pstate == kNoRow) row_line_ = line;
    return csv_parse(&parser_, bytes, count, on_field, on_row, this) == count;
  }

  /// Finishes the last row, which may lack a line end. False inside a quoted field.
  bool finish() {
    if (parser_.quoted != 0 && parser_.pstate == kInField) return false;
    return csv_fini(&parser_, on_field, on_row, this) == 0;
  }

  std::size_t field_bytes() const { return parser_.entry_pos; }
  std::int64_t row_line() const { return row_line_; }
  std::deque<Row>& rows() { return rows_; }

 private:
  static int is_blank(unsigned char c) { return c == ' ' ? 1 : 0; }
  static int is_space(unsigned char c) { return c == ' ' || c == '\t' ? 1 : 0; }

  static void on_field(void* bytes, std::size_t count, void* self) {
    static_cast<RowParser*>(self)->fields_.emplace_back(static_cast<const char*>(bytes), count);
  }

  static void on_row(int, void* self) {
    auto* parser = static_cast<RowParser*>(self);
    parser->rows_.push_back({std::move(parser->fields_), parser->row_line_});
    parser->fields_.clear();
    parser->fields_.reserve(parser->rows_.back().fields.size());
  }

  csv_parser parser_{};
  std::vector<std::string> fields_;
  std::int64_t row_line_ = 1;
  std::deque<Row> rows_;
};

/// Line reader of a file that may be gzipped.
class Lines {
 public:
  explicit Lines(const fs::path& path) : name_(path.string()) {
    std::error_code error;
    if (fs::is_directory(path, error)) throw InputError(name_ + ": is a folder, no CSV file: check the path");
    file_ = gzopen(path.c_str(), "rb");
    if (file_ == nullptr)
      throw InputError(name_ + ": cannot be opened (" + std::strerror(errno) + "): check the path");
    gzbuffer(file_, 1 << 18);
  }
  ~Lines() { gzclose_r(file_); }
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;

  const std::string& name() const { return name_; }

  /// The next line with its end, or a part of a very long one; empty at the end of the file.
  std::string_view next() {
    if (begins_line_) ++line_;
    line_text_.clear();
    while (true) {
      if (at_ == end_ && !fill()) break;
      const char* begin = buffer_.data() + at_;
      const auto* newline = static_cast<const char*>(std::memchr(begin, '\n', end_ - at_));
      const std::size_t count = newline ? static_cast<std::size_t>(newline - begin) + 1 : end_ - at_;
      at_ += count;
      if (newline && line_text_.empty()) {
        begins_line_ = true;
        return {begin, count};
      }
      line_text_.append(begin, count);
      if (newline || line_text_.size() > kBuffer) break;
    }
    begins_line_ = !line_text_.empty() && line_text_.back() == '\n';
    return line_text_;
  }

  std::int64_t line() const { return line_; }

  void rewind() {
    if (gzrewind(file_) != 0) throw InputError(name_ + ": cannot be read twice: give a file, not a pipe");
    at_ = end_ = 0;
    line_ = 0;
    begins_line_ = true;
  }

 private:
  bool fill() {
    const int got = gzread(file_, buffer_.data(), static_cast<unsigned>(buffer_.size()));
    int status = Z_OK;
    const char* reason = gzerror(file_, &status);
    if (got < 0 || (status != Z_OK && status != Z_STREAM_END))
      throw InputError(name_ + ": cannot be read (" + reason + "): fetch the file again");
    at_ = 0;
    end_ = static_cast<std::size_t>(got);
    return got > 0;
  }

  std::string name_;
  gzFile file_ = nullptr;
  std::string buffer_ = std::string(kBuffer, '\0');
  std::string line_text_;
  std::size_t at_ = 0, end_ = 0;
  std::int64_t line_ = 0;
  bool begins_line_ = true;
};

bool is_blank_line(std::string_view line) {
  return line.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

/// Rows of the first lines, separated by `separator`.
std::vector<Row> rows_of(const std::vector<std::string>& head, bool whole, char separator) {
  RowParser parser(separator);
  for (std::size_t i = 0; i < head.size(); ++i)
    if (!parser.feed(head[i].data(), head[i].size(), static_cast<std::int64_t>(i))) break;
  if (whole) parser.finish();
  return {std::make_move_iterator(parser.rows().begin()), std::make_move_iterator(parser.rows().end())};
}

/// The number of rows that have the most common number of fields, if that is more than one.
std::size_t agreement(const std::vector<Row>& rows) {
  std::vector<std::size_t> counts;
  for (const Row& row : rows) counts.push_back(row.fields.size());
  std::size_t most = 0;
  for (const std::size_t count : counts)
    if (count > 1)
      most = std::max(most, static_cast<std::size_t>(std::count(counts.begin(), counts.end(), count)));
  return most;
}

/// Whether the first row names the columns. It does where a column below it holds numbers but it does not, or
/// where all of its fields are different texts that no row below repeats, or count columns from 0.
bool first_row_is_header(const std::vector<Row>& rows, bool semicolons) {
  if (rows.size() < 2) return false;
  const auto is_number = [&](const std::string& field) {
    return csv_number(field, DecimalMark::point) || (semicolons && csv_number(field, DecimalMark::comma));
  };
  const auto& first = rows.front().fields;
  std::set<std::string> names;
  bool all_texts = true, counts = first.size() > 2;
  for (std::size_t j = 0; j < first.size(); ++j) {
    const bool number = is_number(first[j]);
    if (number || (csv_missing(first[j]) && !first[j].empty())) all_texts = false;
    if (!names.insert(first[j]).second) all_texts = false;
    if (first[j] != std::to_string(j) && !(j == 0 && first[j].empty()) &&
        !(first[0].empty() && first[j] == std::to_string(j - 1)))
      counts = false;
    bool numbers_below = false, texts_below = false;
    for (std::size_t i = 1; i < rows.size(); ++i) {
      if (rows[i].fields.size() != first.size()) continue;
      const std::string& field = rows[i].fields[j];
      if (field == first[j] && !field.empty()) all_texts = false;
      if (csv_missing(field)) continue;
      (is_number(field) ? numbers_below : texts_below) = true;
    }
    if (!number && !csv_missing(first[j]) && numbers_below && !texts_below) return true;
  }
  return all_texts || counts;
}

}  // namespace

struct CsvFile::Parser {
  explicit Parser(const fs::path& path) : lines(path) {}

  Lines lines;
  char separator = ',';
  bool header = false;
  std::vector<std::string> names;
  std::unique_ptr<RowParser> rows;
  Row row;
  bool ended = false;

  [[noreturn]] void refuse(std::int64_t line, const std::string& what) const {
    throw InputError(lines.name() + ": line " + std::to_string(line) + ": " + what);
  }

  /// The next line, without the byte order mark. Skips comments and blank lines above the first row.
  std::string_view next_line(bool above) {
    while (true) {
      std::string_view line = lines.next();
      if (lines.line() == 1 && line.substr(0, 3) == kByteOrderMark) line.remove_prefix(3);
      if (line.empty() || !above || (line.front() != '#' && !is_blank_line(line))) return line;
    }
  }

  void look_at_head() {
    std::vector<std::string> head;
    std::size_t bytes = 0;
    bool whole = false;
    while (bytes < kHead && head.size() < kHeadRows) {
      const std::string_view line = next_line(head.empty());
      if ((whole = line.empty())) break;
      head.emplace_back(line);
      bytes += line.size();
    }
    if (head.empty()) throw InputError(lines.name() + ": holds no row: check the path");
    check_text(head);
    std::vector<Row> best = rows_of(head, whole, ',');
    std::size_t most = 0;
    for (const char candidate : kSeparators) {
      auto separated = rows_of(head, whole, candidate);
      const std::size_t agree = agreement(separated);
      if (agree <= most) continue;
      most = agree;
      separator = candidate;
      best = std::move(separated);
    }
    if (best.empty()) refuse(1, "a row that does not end: is a quote missing?");
    header = first_row_is_header(best, separator == ';');
    set_names(best.front().fields);
  }

  void check_text(const std::vector<std::string>& head) const {
    const std::string& first = head.front();
    if (first.rfind("\xFF\xFE", 0) == 0 || first.rfind("\xFE\xFF", 0) == 0)
      throw InputError(lines.name() + ": is UTF-16: save it as CSV in UTF-8");
    for (const std::string& line : head)
      if (line.find('\0') != std::string::npos)
        throw InputError(lines.name() + ": no text, so no CSV file: check the path");
  }

  void set_names(const std::vector<std::string>& first) {
    for (std::size_t j = 0; j < first.size(); ++j)
      names.push_back(header && !first[j].empty() ? first[j] : "column " + std::to_string(j + 1));
    std::set<std::string> seen;
    for (const std::string& name : names)
      if (!seen.insert(name).second)
        throw InputError(lines.name() + ": its header names two columns \"" + name + "\": rename one");
  }

  void begin() {
    lines.rewind();
    rows = std::make_unique<RowParser>(separator);
    ended = false;
    if (header && !parse()) throw InputError(lines.name() + ": holds no row: check the path");
  }

  bool parse() {
    while (rows->rows().empty()) {
      if (ended) return false;
      const std::string_view line = next_line(row.line == 0);
      if (line.empty()) {
        ended = true;
        if (!rows->finish()) refuse(rows->row_line(), "a quoted field that begins here does not end");
      } else if (!rows->feed(line.data(), line.size(), lines.line()) || rows->field_bytes() > kMostField) {
        refuse(rows->row_line(), "a field of more than 1 MiB begins here: is a quote missing?");
      }
    }
    row = std::move(rows->rows().front());
    rows->rows().pop_front();
    return true;
  }
};

CsvFile::CsvFile(const fs::path& path) : parser_(std::make_unique<Parser>(path)) {
  parser_->look_at_head();
  parser_->row.line = 0;
  parser_->begin();
}

CsvFile::~CsvFile() = default;
CsvFile::CsvFile(CsvFile&&) noexcept = default;

const std::string& CsvFile::name() const { return parser_->lines.name(); }
char CsvFile::separator() const { return parser_->separator; }
bool CsvFile::has_header() const { return parser_->header; }
const std::vector<std::string>& CsvFile::names() const { return parser_->names; }
const std::vector<std::string>& CsvFile::fields() const { return parser_->row.fields; }
std::int64_t CsvFile::line() const { return parser_->row.line; }

bool CsvFile::next() {
  if (!parser_->parse()) return false;
  if (fields().size() != names().size())
    parser_->refuse(line(), std::to_string(fields().size()) + " fields, but the first row has " +
                                std::to_string(names().size()) + ": is a separator or a quote missing?");
  return true;
}

void CsvFile::rewind() {
  parser_->row = {};
  parser_->begin();
}

}  // namespace outerloop::data
