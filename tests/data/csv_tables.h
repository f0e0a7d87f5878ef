#pragma once
// Writes a CSV file and reads it as a table.
#include <cstdint>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/data/csv.h"
#include "common/data/rows.h"
#include "tests/data/files.h"

namespace outerloop::tests {

using Numbers = std::vector<double>;
using Names = std::vector<std::string>;

inline std::string written(const TemporaryFolder& folder, const std::string& name, const std::string& text) {
  write_file(folder / name, text_bytes(text));
  return folder / name;
}

struct Table {
  Names names;
  bool header = false;
  Numbers numbers;
  std::int64_t inputs = 0, rows = 0;
};

inline Table read(const std::string& path, const data::TableOptions& options = {}) {
  const data::CsvFile file(path);
  const auto rows = data::open_rows(path, options, nullptr);
  Table table{file.names(), file.has_header(), {}, rows->inputs(), rows->rows()};
  while (rows->read(2, table.numbers) > 0) {
  }
  return table;
}

inline std::string refusal_of(const std::string& path, const data::TableOptions& options = {}) {
  try {
    read(path, options);
  } catch (const InputError& error) {
    return error.what();
  }
  return "not refused";
}

}  // namespace outerloop::tests
