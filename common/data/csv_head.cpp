#include "common/data/csv_head.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <set>
#include <string_view>
#include <utility>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/data/csv_number.h"
#include "common/data/csv_parser.h"

namespace outerloop::data {
namespace {

// The head grows from the first sizes up to the last until it holds some rows: 65,536 columns with names of
// 200 bytes are 13 MiB.
constexpr std::size_t kHeadBytes = std::size_t{1} << 18, kMostHeadBytes = std::size_t{1} << 26;
constexpr std::size_t kHeadLines = 200, kEnoughRows = 5;
// If two fit equally well, the first is the separator: numbers may contain commas, and texts tabs.
constexpr std::array<char, 3> kSeparators = {';', '\t', ','};

/// The first parts of lines of a file.
struct Head {
  std::vector<std::pair<std::string, std::int64_t>> parts;  // each with the number of its line
  std::size_t bytes = 0, lines = 0;
  bool whole = false;  // the file has no more

  void grow(CsvLines& from, std::size_t to_bytes, std::size_t to_lines) {
    while (!whole && bytes < to_bytes && lines < to_lines) {
      const std::string_view part = from.next(parts.empty());
      if ((whole = part.empty())) break;
      parts.emplace_back(part, from.line());
      bytes += part.size();
      if (from.ended_line()) ++lines;
    }
  }
};

/// Rows of a head, and why there are no more.
struct Separated {
  std::vector<CsvRow> rows;
  std::string excess;
  std::int64_t line = 1;
};

Separated separated(const Head& head, char separator) {
  CsvParser parser(separator);
  Separated result;
  for (const auto& [part, line] : head.parts)
    if (!parser.feed(part.data(), part.size(), line)) {
      result.excess = parser.excess();
      break;
    }
  if (head.whole && result.excess.empty()) parser.finish();
  result.line = parser.row_line();
  result.rows.assign(std::make_move_iterator(parser.rows().begin()),
                     std::make_move_iterator(parser.rows().end()));
  return result;
}

/// The number of rows that have the most common number of fields, if that is more than one.
std::size_t agreement(const std::vector<CsvRow>& rows) {
  std::vector<std::size_t> counts;
  for (const CsvRow& row : rows) counts.push_back(row.fields.size());
  std::size_t most = 0;
  for (const std::size_t count : counts)
    if (count > 1)
      most = std::max(most, static_cast<std::size_t>(std::count(counts.begin(), counts.end(), count)));
  return most;
}

/// Whether the first row names the columns. It does where a column below it holds numbers but it does not, or
/// where all of its fields are different texts that no row below repeats, or count columns from 0.
bool first_row_is_header(const std::vector<CsvRow>& rows, bool semicolons) {
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

/// What a file that is no text begins with, and what to do about it.
struct OtherKind {
  std::string_view begin;
  const char* what;
};
constexpr OtherKind kOtherKinds[] = {
    {"\x28\xB5\x2F\xFD", "packed by zstd: unpack it"},
    {"\xFD"
     "7zXZ",
     "packed by xz: unpack it"},
    {"PK\x03\x04", "a ZIP archive or a workbook: unpack it, or save it as CSV"},
    {"<!doctype", "an HTML page: fetch the table itself"},
    {"<html", "an HTML page: fetch the table itself"},
    {"<?xml", "XML: save it as CSV"}};

void check_text(const Head& head, const std::string& name) {
  const std::string& first = head.parts.front().first;
  base::without_byte_order_mark(first.substr(0, 4), name);
  for (const OtherKind& kind : kOtherKinds) {
    std::string begin = first.substr(0, kind.begin.size());
    for (char& c : begin)
      if (kind.begin.front() == '<' && c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (begin == kind.begin) throw InputError(name + ": no CSV file, but " + kind.what);
  }
  // \x1A ends old files of DOS, and \x1B begins the codes that colour a terminal.
  const auto is_control = [](unsigned char c) {
    return c < '\t' || (c > '\r' && c < ' ' && c != '\x1A' && c != '\x1B');
  };
  for (const auto& [part, line] : head.parts)
    if (std::any_of(part.begin(), part.end(), is_control))
      throw InputError(name + ": no text, so no CSV file: check the path");
}

/// The rows by the separator that fits best.
Separated best_of(const Head& head, char declared, char& separator, bool& enough) {
  std::vector<char> candidates{declared};
  if (declared == 0) candidates.assign(kSeparators.begin(), kSeparators.end());
  separator = declared == 0 ? ',' : declared;
  Separated best;
  std::size_t most = 0;
  bool all_end = true;
  enough = head.whole;
  for (const char candidate : candidates) {
    Separated rows = separated(head, candidate);
    enough = enough || rows.rows.size() >= kEnoughRows;
    all_end = all_end && !rows.excess.empty();
    const std::size_t agree = agreement(rows.rows);
    // The last is taken where no row has more than one field.
    if (agree <= most && (most > 0 || candidate != candidates.back())) continue;
    most = agree;
    separator = candidate;
    best = std::move(rows);
  }
  enough = enough || all_end;
  return best;
}

}  // namespace

CsvHead look_at_head(CsvLines& lines) {
  Head head;
  CsvHead result;
  Separated best;
  bool enough = false;
  for (std::size_t factor = 1; !enough; factor *= 4) {
    if (factor * kHeadBytes > kMostHeadBytes) {
      if (best.rows.size() > 1) break;
      throw InputError(lines.name() + ": its first two rows are longer than 64 MiB: leave columns out");
    }
    head.grow(lines, factor * kHeadBytes, factor * kHeadLines);
    if (head.parts.empty()) throw InputError(lines.name() + ": holds no row: check the path");
    if (factor == 1) check_text(head, lines.name());
    best = best_of(head, lines.declared_separator(), result.separator, enough);
  }
  if (best.rows.empty())
    throw InputError(lines.name() + ": line " + std::to_string(best.line) + ": " +
                     (best.excess.empty() ? "a row that does not end: is a quote missing?" : best.excess));
  result.header = first_row_is_header(best.rows, result.separator == ';');
  result.first = std::move(best.rows.front().fields);
  return result;
}

}  // namespace outerloop::data
