#pragma once
// A CSV file as a dataset: its columns are vectors, one of them may hold the labels.
#include <filesystem>
#include <string>

#include "common/data/working_set.h"

namespace outerloop::data {

/// "FILE" or "FILE:COLUMN"; "./" in front of the column is left out (parse_request in request.h).
struct CsvPath {
  std::filesystem::path file;
  std::string column;  ///< of the labels; empty: not named
};

/// A name that is itself a file has no column.
CsvPath parse_csv_path(const std::string& path);

/// Vectors of numbers, with texts encoded as 0/1 (table_columns.h). Each distinct label is a class. Labels
/// are in the named column, else in one whose header is label or class (upper or lower case); without one,
/// all rows are in one class, "all". Throws InputError that names file, line and column.
WorkingSet read_csv_set(const CsvPath& path);

}  // namespace outerloop::data
