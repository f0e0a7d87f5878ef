#pragma once
// A CSV file as a dataset: its columns as vectors, one of them as labels.
#include <filesystem>
#include <string>

#include "common/data/working_set.h"

namespace outerloop::data {

/// "FILE" or "FILE:COLUMN".
struct CsvPath {
  std::filesystem::path file;
  std::string column;  ///< of the labels; empty: not named
};

/// What is a file by itself has no column.
CsvPath parse_csv_path(const std::string& path);

/// Vectors of numbers, texts as 0/1 (table_columns.h). Each different label is a class: of the column that is
/// named, else of one whose header is label or class, in any case; without one all rows are of one class,
/// "all". Throws InputError that names file, line and column.
WorkingSet read_csv_set(const CsvPath& path);

}  // namespace outerloop::data
