#include "common/data/csv_dataset.h"

#include <algorithm>
#include <cctype>
#include <system_error>
#include <vector>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/data/table_columns.h"

namespace outerloop::data {
namespace {

constexpr std::size_t kMostClasses = 65536;

/// The column of labels; empty if there is none.
std::string label_column(const CsvFile& file, const std::string& named) {
  if (!named.empty()) return file.names()[find_column(file, named)];
  for (const std::string& name : file.names()) {
    std::string lower = name;
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (lower == "label" || lower == "class") return name;
  }
  return "";
}

/// Numbers by size, other names by their bytes.
void sort_classes(std::vector<std::string>& names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  const auto is_number = [](const std::string& name) {
    return csv_number(name, DecimalMark::point).has_value();
  };
  if (std::all_of(names.begin(), names.end(), is_number))
    std::stable_sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
      return *csv_number(a, DecimalMark::point) < *csv_number(b, DecimalMark::point);
    });
}

void set_labels(const std::vector<std::string>& labels, const std::string& file, WorkingSet& set) {
  set.class_names = labels;
  sort_classes(set.class_names);
  if (set.class_names.size() > kMostClasses)
    throw InputError(file + ": " + std::to_string(set.class_names.size()) +
                     " different labels: name the column of labels, FILE.csv:COLUMN");
  std::vector<std::pair<std::string, std::int32_t>> places;
  for (std::size_t i = 0; i < set.class_names.size(); ++i)
    places.emplace_back(set.class_names[i], static_cast<std::int32_t>(i));
  std::sort(places.begin(), places.end());
  for (const std::string& label : labels)
    set.labels.push_back(
        std::lower_bound(places.begin(), places.end(), label, [](const auto& place, const std::string& name) {
          return place.first < name;
        })->second);
}

}  // namespace

CsvPath parse_csv_path(const std::string& path) {
  std::error_code error;
  const std::size_t colon = path.rfind(':');
  if (colon == std::string::npos || colon == 0 || std::filesystem::is_regular_file(path, error))
    return {path, ""};
  std::string column = path.substr(colon + 1);
  if (column.rfind("./", 0) == 0) column.erase(0, 2);
  return {path.substr(0, colon), column};
}

WorkingSet read_csv_set(const CsvPath& path) {
  CsvFile file(path.file);
  TableOptions options;
  options.has_flags = false;
  options.labels = label_column(file, path.column);
  std::int64_t rows = 0;
  const TableColumns columns = fit_columns(file, options, rows);
  const std::size_t place = options.labels.empty() ? 0 : find_column(file, options.labels);
  WorkingSet set;
  set.inputs = columns.inputs();
  set.values.reserve(static_cast<std::size_t>(rows * set.inputs));
  file.rewind();
  TableEncoder encoder(columns, file, columns.decimal_mark);
  std::vector<std::string> labels;
  while (file.next()) {
    encoder.append(set.values);
    if (options.labels.empty()) continue;
    labels.push_back(file.fields()[place]);
    if (csv_missing(labels.back()))
      throw InputError(file.name() + ": line " + std::to_string(file.line()) + ": no label in column \"" +
                       base::printable(options.labels, 40) + "\": leave the row out");
  }
  if (!labels.empty()) {
    set_labels(labels, file.name(), set);
  } else {
    set.class_names = {"all"};
    set.labels.assign(static_cast<std::size_t>(rows), 0);
  }
  return set;
}

}  // namespace outerloop::data
