#pragma once
// Line reader of a CSV file that may be gzipped.
#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace outerloop::data {

/// Lines end with \n, \r\n or \r.
class CsvLines {
 public:
  /// Throws InputError that names the file: missing, a folder, a pipe.
  explicit CsvLines(const std::filesystem::path& path);
  ~CsvLines() { gzclose_r(file_); }
  CsvLines(const CsvLines&) = delete;
  CsvLines& operator=(const CsvLines&) = delete;

  const std::string& name() const { return name_; }

  /// The next line with its end, or a part of a very long one; empty at the end of the file. Without the byte
  /// order mark. With `above`, which is to be set above the first row, comments, blank lines and Excel's line
  /// that declares the separator are skipped.
  std::string_view next(bool above);

  std::int64_t line() const { return line_; }             ///< number of the current line, from 1
  bool ended_line() const { return begins_line_; }        ///< the last part ended its line
  char declared_separator() const { return separator_; }  ///< by Excel's line "sep=;" at the top; or 0

  /// Throws InputError where the file cannot be read twice.
  void rewind();

 private:
  std::string_view next_part();
  bool fill();

  std::string name_;
  gzFile file_ = nullptr;
  std::string buffer_;
  std::string line_text_;
  std::size_t at_ = 0, end_ = 0;
  std::int64_t line_ = 0;
  bool begins_line_ = true;
  char separator_ = 0;
};

}  // namespace outerloop::data
