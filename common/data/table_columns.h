#pragma once
// Columns of a user's table and the inputs that they become: numbers as they are, texts as 0/1 inputs.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/data/csv.h"

namespace outerloop::data {

constexpr std::size_t kMostTexts = 32;  ///< different texts of a column that becomes 0/1 inputs

struct TableColumn {
  enum class Kind { number, text, left_out };
  std::string name;
  Kind kind = Kind::number;
  std::vector<std::string> values;  ///< of a text column, rising: each is an input, 1 where the row holds it
  std::vector<double> means;        ///< of its inputs: what stands for a missing value
};

/// The columns of a table, as they were when a base model was trained on it.
struct TableColumns {
  bool named = false;            ///< by a header; else by their places
  bool replace_missing = false;  ///< by means
  std::vector<TableColumn> columns;

  std::int64_t inputs() const;
};

struct TableOptions {
  std::vector<std::string> drop;  ///< names or numbers (from 1) of columns to leave out
  std::string labels;             ///< of the column of labels, which is left out, too; empty: none
  bool replace_missing = false;
};

/// The place of the column that is called so in the header, or has that number (from 1). Throws InputError
/// that lists the columns.
std::size_t find_column(const CsvFile& file, const std::string& name);

/// Looks at every row and counts them. Throws InputError that names file, line and column: a missing value
/// (unless options replace it), a column of more than kMostTexts texts, of no value, or of a number that is
/// not finite; none left; more than 65,536 inputs.
TableColumns fit_columns(CsvFile& file, const TableOptions& options, std::int64_t& rows);

/// Rows of a file as numbers, by columns that were fitted to this or another file.
class TableEncoder {
 public:
  /// Columns are found by name where both have a header, else by place; those that were left out may be
  /// missing. Throws InputError that lists what disagrees. Both arguments outlive the encoder.
  TableEncoder(const TableColumns& columns, const CsvFile& file);

  /// Appends the inputs of the file's current row. Throws InputError that names line and column.
  void append(std::vector<double>& inputs);

  /// By column: rows with a text that the columns do not know, whose inputs are all 0.
  const std::map<std::string, std::int64_t>& unknown() const { return unknown_; }

 private:
  void append_number(const TableColumn& column, const std::string& field, std::vector<double>& inputs) const;
  [[noreturn]] void refuse(const TableColumn& column, const std::string& what) const;

  const TableColumns& columns_;
  const CsvFile& file_;
  bool decimal_comma_;
  std::vector<std::size_t> place_;  ///< of each column in the file; none: left out
  std::map<std::string, std::int64_t> unknown_;
};

}  // namespace outerloop::data
