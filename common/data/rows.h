#pragma once
// Rows of a user's file (CSV, NPY, HDF5) as numbers, a block at a time, so that memory does not grow with
// their number.
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/data/table_columns.h"

namespace outerloop::data {

class RowReader {
 public:
  virtual ~RowReader() = default;

  virtual std::int64_t inputs() const = 0;  ///< numbers per row
  /// Rows of the file; -1 where that is not known before the last was read.
  virtual std::int64_t rows() const = 0;
  virtual bool bytes() const { return false; }   ///< the numbers are unsigned bytes
  virtual bool images() const { return false; }  ///< rows have axes of their own

  /// Appends up to `most` further rows to `numbers`. Returns how many; 0 at the end. Throws InputError that
  /// names the file and what of it cannot be read.
  virtual std::int64_t read(std::int64_t most, std::vector<double>& numbers) = 0;
  virtual void rewind() = 0;

  /// Of a CSV file: its columns. nullptr: of other files.
  virtual const TableColumns* columns() const { return nullptr; }
  /// Of a CSV file read by columns of another: by column, rows with a text that those do not know.
  virtual std::map<std::string, std::int64_t> unknown() const { return {}; }
};

/// By the file's suffix: .npy; .csv, .tsv, .txt, .data, each also with .gz; and FILE.h5:/dataset. Numbers are
/// finite. `kept`: the columns that a model was trained on, which have to outlive the reader; nullptr: they
/// are fitted to this file. Throws InputError: another suffix, options of CSV files for another one, and what
/// the readers throw.
std::unique_ptr<RowReader> open_rows(const std::string& path, const TableOptions& options,
                                     const TableColumns* kept);

}  // namespace outerloop::data
