#pragma once
// Detection of a CSV file's separator and header from its first rows.
#include <string>
#include <vector>

#include "common/data/csv_lines.h"

namespace outerloop::data {

struct CsvHead {
  char separator = ',';
  bool header = false;             ///< the first row names the columns
  std::vector<std::string> first;  ///< the fields of the first row
};

/// Reads from the beginning of `lines`. Throws InputError that names the file: no text, no row, rows too long
/// to look at.
CsvHead look_at_head(CsvLines& lines);

}  // namespace outerloop::data
