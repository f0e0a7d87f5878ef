#pragma once
// Encoding of a user's table: numeric columns become inputs unchanged, text columns become 0/1 inputs.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/data/csv.h"

namespace outerloop::data {

constexpr std::size_t kMostTexts = 32;  ///< distinct texts of a column that becomes 0/1 inputs

struct TableColumn {
  enum class Kind { number, text, left_out };
  std::string name;
  Kind kind = Kind::number;
  std::vector<std::string> values;  ///< of a text column, ascending: each is an input, 1 if the row holds it
  std::vector<double> means;        ///< of its inputs: replacement of a missing value
};

/// The columns of the table that a base model was trained on.
struct TableColumns {
  bool named = false;            ///< by a header; else by their positions
  bool replace_missing = false;  ///< by means
  std::vector<TableColumn> columns;

  std::int64_t inputs() const;
};

struct TableOptions {
  std::vector<std::string> drop;  ///< names or numbers (from 1) of excluded columns
  std::string labels;             ///< of the column of labels, which is also excluded; empty: none
  bool replace_missing = false;
};

/// Index of the column with that name in the header, or with that number (from 1). Throws InputError that
/// lists the columns.
std::size_t find_column(const CsvFile& file, const std::string& name);

/// Reads and counts all rows. Throws InputError that names file, line and column: a missing value (unless
/// options replace it), a column with more than kMostTexts texts, without a value, or with a number that is
/// not finite; no column left; more than 65,536 inputs.
TableColumns fit_columns(CsvFile& file, const TableOptions& options, std::int64_t& rows);

/// Rows of a file as numbers, encoded with columns that were fitted to this or another file.
class TableEncoder {
 public:
  /// Columns are matched by name if both have a header, else by position; excluded columns may be missing.
  /// Throws InputError that lists the mismatches. Both arguments must outlive the encoder.
  TableEncoder(const TableColumns& columns, const CsvFile& file);

  /// Appends the inputs of the file's current row. Throws InputError that names line and column.
  void append(std::vector<double>& inputs);

  /// By column: number of rows with an unknown text, whose inputs are all 0.
  const std::map<std::string, std::int64_t>& unknown() const { return unknown_; }

 private:
  void append_number(const TableColumn& column, const std::string& field, std::vector<double>& inputs) const;
  [[noreturn]] void refuse(const TableColumn& column, const std::string& what) const;

  const TableColumns& columns_;
  const CsvFile& file_;
  bool decimal_comma_;
  std::vector<std::size_t> place_;  ///< of each column in the file; none: excluded
  std::map<std::string, std::int64_t> unknown_;
};

}  // namespace outerloop::data
