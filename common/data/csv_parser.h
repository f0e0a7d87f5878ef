#pragma once
// Wrapper of libcsv: takes the bytes of a CSV file, returns its rows.
#include <csv.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace outerloop::data {

struct CsvRow {
  std::vector<std::string> fields;
  std::int64_t line = 0;  ///< where it begins, from 1
};

class CsvParser {
 public:
  explicit CsvParser(char separator);
  ~CsvParser() { csv_free(&parser_); }
  CsvParser(const CsvParser&) = delete;
  CsvParser& operator=(const CsvParser&) = delete;

  /// Parses `count` bytes of line number `line`. False for bytes that are no row: excess() tells why.
  bool feed(const char* bytes, std::size_t count, std::int64_t line);

  /// Finishes the last row, which may lack a line end. False inside a quoted field.
  bool finish();

  /// What the row that begins at row_line() has too much of; empty if nothing.
  std::string excess();

  std::int64_t row_line() const { return row_line_; }
  std::deque<CsvRow>& rows() { return rows_; }

 private:
  static void on_field(void* bytes, std::size_t count, void* self);
  static void on_row(int, void* self);

  csv_parser parser_{};
  std::vector<std::string> fields_;
  std::int64_t row_line_ = 1;
  std::deque<CsvRow> rows_;
};

}  // namespace outerloop::data
