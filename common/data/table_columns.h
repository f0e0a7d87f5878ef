#pragma once
// Encoding of a user's table: numeric columns become inputs unchanged, text columns become 0/1 inputs.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/data/csv.h"
#include "common/data/csv_number.h"

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
  /// Of a file whose fields are separated by semicolons; in all others it is a point.
  std::optional<DecimalMark> decimal_mark;
  std::vector<TableColumn> columns;

  std::int64_t inputs() const;
};

struct TableOptions {
  std::vector<std::string> drop;  ///< names or numbers (from 1) of excluded columns
  std::string labels;             ///< of the column of labels, which is also excluded; empty: none
  bool replace_missing = false;
  bool has_flags = true;  ///< false: errors advise no --drop and --missing, which the command does not have
};

/// Index of the column with that name in the header, or with that number (from 1). Throws InputError that
/// lists the columns.
std::size_t find_column(const CsvFile& file, const std::string& name);

/// Looks at every row and counts them. Where semicolons separate, the decimal mark is found out from all
/// rows, once for the whole file. Throws InputError that names file, line and column: a missing value (unless
/// options replace it), a column of more than kMostTexts texts, of no value, of both decimal marks, or of a
/// number that is not finite; none left; more than 65,536 inputs.
TableColumns fit_columns(CsvFile& file, const TableOptions& options, std::int64_t& rows);

/// Rows of a file as numbers, encoded with columns that were fitted to this or another file.
class TableEncoder {
 public:
  /// Columns are found by name where both have a header, else by place; those that were left out may be
  /// missing. `file` is before its first row; without `mark` its decimal mark is found out. Throws InputError
  /// that lists what disagrees. Both arguments outlive the encoder.
  TableEncoder(const TableColumns& columns, CsvFile& file, std::optional<DecimalMark> mark = std::nullopt);

  DecimalMark decimal_mark() const { return mark_; }

  /// Appends the inputs of the file's current row. Throws InputError that names line and column.
  void append(std::vector<double>& inputs);

  /// By column: number of rows with an unknown text, whose inputs are all 0.
  const std::map<std::string, std::int64_t>& unknown() const { return unknown_; }

 private:
  void place_columns();
  void append_number(const TableColumn& column, const std::string& field, std::vector<double>& inputs) const;
  [[noreturn]] void refuse(const TableColumn& column, const std::string& what) const;

  const TableColumns& columns_;
  const CsvFile& file_;
  DecimalMark mark_ = DecimalMark::point;
  std::vector<std::size_t> place_;  ///< of each column in the file; none: left out
  std::map<std::string, std::int64_t> unknown_;
};

}  // namespace outerloop::data
