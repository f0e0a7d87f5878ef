#include "common/data/table_columns.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "common/base/error.h"
#include "common/base/text.h"

namespace outerloop::data {
namespace {

constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);
constexpr std::int64_t kMostInputs = 65536;
constexpr std::size_t kMostShown = 40;  // bytes of a field in an error

using Kind = TableColumn::Kind;

std::string shown(const std::string& field) { return "\"" + base::printable(field, kMostShown) + "\""; }

std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t kMostListed = 8;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kMostListed); ++i)
    text += (i > 0 ? ", " : "") + shown(names[i]);
  return names.size() > kMostListed ? text + " and " + std::to_string(names.size() - kMostListed) + " more"
                                    : text;
}

std::string mark_in_words(DecimalMark mark) {
  return mark == DecimalMark::point ? "decimal point" : "decimal comma";
}

std::string other_mark_in_words(const std::string& field, DecimalMark mark) {
  const auto other = mark == DecimalMark::point ? DecimalMark::comma : DecimalMark::point;
  return shown(field) + " has a " + mark_in_words(other) + ", but the file's numbers have a " +
         mark_in_words(mark) + ": write all of them with one";
}

/// The decimal mark of a file whose fields are separated by semicolons: that of the first field of a column
/// to read that proves one. Where none does, `otherwise`, or else a comma where there are any. Rewinds the
/// file.
DecimalMark mark_of(CsvFile& file, const std::vector<bool>& passed_over,
                    std::optional<DecimalMark> otherwise) {
  std::optional<DecimalMark> mark;
  bool commas = false;
  while (!mark && file.next())
    for (std::size_t j = 0; j < passed_over.size() && !mark; ++j) {
      if (passed_over[j]) continue;
      const std::string& field = file.fields()[j];
      mark = proven_mark(field);
      commas = commas || (field.find(',') != std::string::npos && csv_number(field, DecimalMark::comma));
    }
  file.rewind();
  if (mark) return *mark;
  if (otherwise) return *otherwise;
  return commas ? DecimalMark::comma : DecimalMark::point;
}

/// Findings about a column from one pass over all rows.
struct Scan {
  std::vector<std::pair<std::string, std::int64_t>> values;  // distinct fields and the count of each
  bool too_many = false;                                     // more than kMostTexts of them
  long double sum = 0.0L;                                    // of doubles that may be near the largest
  std::int64_t numbers = 0, present = 0;
  std::string first_text;
  std::int64_t first_text_line = 0, first_missing_line = 0;
  std::string first_infinite;
  std::int64_t infinite = 0, first_infinite_line = 0;
  std::int64_t other_marks = 0;  // numbers with the other decimal mark than the file's

  void add(const std::string& field, DecimalMark mark, std::int64_t line) {
    if (csv_missing(field)) {
      if (first_missing_line == 0) first_missing_line = line;
      return;
    }
    ++present;
    if (!too_many) count(field);
    const auto number = csv_number(field, mark);
    if (number && std::isfinite(*number)) {
      ++numbers;
      sum += *number;
    } else if (number || csv_infinite(field)) {
      if (infinite++ > 0) return;
      first_infinite = field;
      first_infinite_line = line;
    } else {
      if (proven_mark(field)) ++other_marks;
      if (first_text_line > 0) return;
      first_text = field;
      first_text_line = line;
    }
  }

  void count(const std::string& field) {
    for (auto& [value, times] : values)
      if (value == field) {
        ++times;
        return;
      }
    if (values.size() == kMostTexts) {
      too_many = true;
      values.clear();
    } else {
      values.emplace_back(field, 1);
    }
  }
};

/// Whether the fields of a file's only line are names: none is a number, or stands for a missing one.
bool is_header(const std::vector<std::string>& fields) {
  return std::none_of(fields.begin(), fields.end(), [](const std::string& field) {
    return csv_number(field, DecimalMark::point) || csv_number(field, DecimalMark::comma) ||
           csv_infinite(field) || (csv_missing(field) && !field.empty());
  });
}

class Fitter {
 public:
  Fitter(CsvFile& file, const TableOptions& options)
      : file_(file), options_(options), scans_(file.names().size()), left_out_(file.names().size(), false) {
    for (const std::string& name : options.drop) left_out_[find_column(file, name)] = true;
    if (!options.labels.empty()) left_out_[find_column(file, options.labels)] = true;
  }

  TableColumns fit(std::int64_t& rows) {
    TableColumns columns;
    if (file_.separator() == ';') columns.decimal_mark = mark_of(file_, left_out_, std::nullopt);
    mark_ = columns.decimal_mark.value_or(DecimalMark::point);
    for (rows = 0; file_.next(); ++rows)
      for (std::size_t j = 0; j < scans_.size(); ++j)
        if (!left_out_[j]) scans_[j].add(file_.fields()[j], mark_, file_.line());
    if (rows == 0) throw InputError(file_.name() + ": the table holds no row: check the path");
    if (rows == 1 && !file_.has_header() && is_header(file_.fields()))
      throw InputError(file_.name() +
                       ": holds one line without a number, so a header without rows: check the path");
    columns.named = file_.has_header();
    columns.replace_missing = options_.replace_missing;
    for (std::size_t j = 0; j < scans_.size(); ++j) columns.columns.push_back(column(j));
    if (columns.inputs() == 0) throw InputError(file_.name() + ": no column is left: leave out fewer");
    if (columns.inputs() > kMostInputs)
      throw InputError(
          file_.name() + ": " + std::to_string(columns.inputs()) + " inputs, and at most " +
          std::to_string(kMostInputs) + " are read: " +
          (options_.has_flags ? "leave columns out with --drop" : "remove columns from the file"));
    return columns;
  }

 private:
  [[noreturn]] void refuse(std::size_t j, std::int64_t line, const std::string& what) const {
    throw InputError(file_.name() + ": line " + std::to_string(line) + ", column " + shown(file_.names()[j]) +
                     ": " + what);
  }

  TableColumn column(std::size_t j) const {
    const Scan& scan = scans_[j];
    const std::string leave_out =
        options_.has_flags ? "leave it out, --drop " + shown(file_.names()[j]) : "remove it from the file";
    TableColumn column;
    column.name = file_.names()[j];
    if (left_out_[j]) {
      column.kind = Kind::left_out;
      return column;
    }
    if (scan.present == 0)
      throw InputError(file_.name() + ": column " + shown(column.name) + " holds no value: " + leave_out);
    if (scan.other_marks > 0 && scan.numbers + scan.other_marks == scan.present)
      refuse(j, scan.first_text_line, other_mark_in_words(scan.first_text, mark_));
    if (scan.infinite > 0 && scan.numbers + scan.infinite == scan.present)
      refuse(j, scan.first_infinite_line, shown(scan.first_infinite) + " is no finite number");
    if (scan.first_text_line > 0 && scan.too_many)
      refuse(j, scan.first_text_line,
             shown(scan.first_text) + " is no number, and the column has more than " +
                 std::to_string(kMostTexts) + " different values: " + leave_out);
    if (scan.first_missing_line > 0 && !options_.replace_missing)
      refuse(j, scan.first_missing_line,
             options_.has_flags ? "no value: fill it in, take --missing mean, or " + leave_out
                                : "no value: fill it in, or remove its row");
    if (scan.first_text_line == 0) {
      column.means = {static_cast<double>(scan.sum / static_cast<long double>(scan.numbers))};
      return column;
    }
    column.kind = Kind::text;
    auto values = scan.values;
    std::sort(values.begin(), values.end());
    for (const auto& [value, times] : values) {
      column.values.push_back(value);
      column.means.push_back(static_cast<double>(times) / static_cast<double>(scan.present));
    }
    return column;
  }

  CsvFile& file_;
  const TableOptions& options_;
  std::vector<Scan> scans_;
  std::vector<bool> left_out_;
  DecimalMark mark_ = DecimalMark::point;
};

}  // namespace

std::int64_t TableColumns::inputs() const {
  std::int64_t count = 0;
  for (const TableColumn& column : columns) count += static_cast<std::int64_t>(column.means.size());
  return count;
}

std::size_t find_column(const CsvFile& file, const std::string& name) {
  const auto& names = file.names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  for (std::size_t j = 0; j < names.size(); ++j)
    if (name == std::to_string(j + 1)) return j;
  throw InputError(file.name() + ": there is no column " + shown(name) + "; there are " + listed(names));
}

TableColumns fit_columns(CsvFile& file, const TableOptions& options, std::int64_t& rows) {
  return Fitter(file, options).fit(rows);
}

TableEncoder::TableEncoder(const TableColumns& columns, CsvFile& file, std::optional<DecimalMark> mark)
    : columns_(columns), file_(file) {
  place_columns();
  if (mark || file.separator() != ';') {
    mark_ = mark.value_or(DecimalMark::point);
    return;
  }
  std::vector<bool> passed_over(file.names().size(), true);
  for (std::size_t j = 0; j < place_.size(); ++j)
    if (columns.columns[j].kind == Kind::number) passed_over[place_[j]] = false;
  mark_ = mark_of(file, passed_over, columns.decimal_mark);
}

void TableEncoder::place_columns() {
  const auto& names = file_.names();
  if (!columns_.named || !file_.has_header()) {
    if (names.size() != columns_.columns.size())
      throw InputError(file_.name() + ": " + std::to_string(names.size()) +
                       " columns, but the model was trained on " + std::to_string(columns_.columns.size()) +
                       ": give the same columns");
    for (std::size_t j = 0; j < names.size(); ++j) place_.push_back(j);
    return;
  }
  std::vector<std::string> missing;
  std::set<std::string> more(names.begin(), names.end());
  std::map<std::string, std::size_t> places;
  for (std::size_t j = 0; j < names.size(); ++j) places.emplace(names[j], j);
  for (const TableColumn& column : columns_.columns) {
    const auto found = places.find(column.name);
    place_.push_back(found == places.end() ? kNowhere : found->second);
    if (found == places.end() && column.kind != Kind::left_out) missing.push_back(column.name);
    more.erase(column.name);
  }
  if (missing.empty() && more.empty()) return;
  std::string what;
  if (!missing.empty()) what += ": the model's columns " + listed(missing) + " are missing";
  if (!more.empty()) what += ": the model knows no columns " + listed({more.begin(), more.end()});
  throw InputError(file_.name() + what + ": give the columns that it was trained on");
}

void TableEncoder::append(std::vector<double>& inputs) {
  const auto is_name = [](const TableColumn& column, const std::string& field) {
    return column.name == field;
  };
  if (columns_.named && !file_.has_header() &&
      std::equal(columns_.columns.begin(), columns_.columns.end(), file_.fields().begin(), is_name))
    throw InputError(file_.name() + ": holds a header without rows: check the path");
  for (std::size_t j = 0; j < columns_.columns.size(); ++j) {
    const TableColumn& column = columns_.columns[j];
    if (column.kind == Kind::left_out) continue;
    const std::string& field = file_.fields()[place_[j]];
    if (csv_missing(field)) {
      if (!columns_.replace_missing) refuse(column, "no value: fill it in, or train with --missing mean");
      inputs.insert(inputs.end(), column.means.begin(), column.means.end());
    } else if (column.kind == Kind::number) {
      append_number(column, field, inputs);
    } else {
      const auto known = std::lower_bound(column.values.begin(), column.values.end(), field);
      const bool is_known = known != column.values.end() && *known == field;
      if (!is_known) ++unknown_[column.name];
      for (auto value = column.values.begin(); value != column.values.end(); ++value)
        inputs.push_back(is_known && value == known ? 1.0 : 0.0);
    }
  }
}

void TableEncoder::append_number(const TableColumn& column, const std::string& field,
                                 std::vector<double>& inputs) const {
  const auto number = csv_number(field, mark_);
  if (!number && proven_mark(field)) refuse(column, other_mark_in_words(field, mark_));
  if (number ? !std::isfinite(*number) : csv_infinite(field))
    refuse(column, shown(field) + " is no finite number");
  if (!number) refuse(column, shown(field) + " is no number");
  inputs.push_back(*number);
}

void TableEncoder::refuse(const TableColumn& column, const std::string& what) const {
  throw InputError(file_.name() + ": line " + std::to_string(file_.line()) + ", column " +
                   shown(column.name) + ": " + what);
}

}  // namespace outerloop::data
