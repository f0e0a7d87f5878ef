#pragma once
// Reader of CSV files, plain or gzipped, row by row: detects separator and header, parses quotes and numbers.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace outerloop::data {

/// One file, from its first row to its last. The separator (comma, semicolon or tab) and the presence of a
/// header are detected from the first rows. Lines above it that begin with #, blank lines and a byte order
/// mark are skipped. Quoted fields may contain separators and line ends.
class CsvFile {
 public:
  /// Throws InputError that names the file: missing, not a text, UTF-16, no row.
  explicit CsvFile(const std::filesystem::path& path);
  ~CsvFile();
  CsvFile(CsvFile&&) noexcept;
  CsvFile(const CsvFile&) = delete;
  CsvFile& operator=(const CsvFile&) = delete;

  const std::string& name() const;  ///< of the file
  char separator() const;
  bool has_header() const;
  /// Names of the columns: those of the header, "column N" (from 1) for a column without one.
  const std::vector<std::string>& names() const;

  /// Advances to the next row, skipping the header. Returns false at the end. Throws InputError that names
  /// file and line: a row with more or fewer fields than the first, a quote that never ends, damaged gzip
  /// data.
  bool next();

  const std::vector<std::string>& fields() const;  ///< of the current row
  std::int64_t line() const;                       ///< where the current row begins, from 1

  /// Returns to before the first row. Throws InputError where the file cannot be read twice, like a pipe.
  void rewind();

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace outerloop::data
