#include "common/data/csv.h"

#include <set>
#include <utility>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/data/csv_head.h"
#include "common/data/csv_lines.h"
#include "common/data/csv_parser.h"

namespace outerloop::data {
namespace fs = std::filesystem;

struct CsvFile::Parser {
  explicit Parser(const fs::path& path) : lines(path) {}

  CsvLines lines;
  char separator = ',';
  bool header = false;
  std::vector<std::string> names;
  std::unique_ptr<CsvParser> rows;
  CsvRow row;
  bool begun = false, ended = false;

  [[noreturn]] void refuse(std::int64_t line, const std::string& what) const {
    throw InputError(lines.name() + ": line " + std::to_string(line) + ": " + what);
  }

  void look_at_head() {
    const CsvHead head = data::look_at_head(lines);
    separator = head.separator;
    header = head.header;
    set_names(head.first);
  }

  void set_names(const std::vector<std::string>& first) {
    for (std::size_t j = 0; j < first.size(); ++j)
      names.push_back(header && !first[j].empty() ? first[j] : "column " + std::to_string(j + 1));
    std::set<std::string> seen;
    for (const std::string& name : names)
      if (!seen.insert(name).second)
        throw InputError(lines.name() + ": its header names two columns \"" + base::printable(name, 40) +
                         "\": rename one");
  }

  void begin() {
    lines.rewind();
    rows = std::make_unique<CsvParser>(separator);
    begun = ended = false;
    if (header && !parse()) throw InputError(lines.name() + ": holds no row: check the path");
  }

  bool parse() {
    while (rows->rows().empty()) {
      if (ended) return false;
      const std::string_view line = lines.next(!begun);
      begun = true;
      if (line.empty()) {
        ended = true;
        if (!rows->finish()) refuse(rows->row_line(), "a quoted field that begins here does not end");
      } else if (!rows->feed(line.data(), line.size(), lines.line())) {
        refuse(rows->row_line(), rows->excess());
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
