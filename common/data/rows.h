#pragma once
// Reader of the rows of a user's file (CSV, NPY, HDF5) as numbers, block by block, so that memory does not
// grow with the number of rows.
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
  /// Number of rows in the file; -1 if it is unknown until the last row was read.
  virtual std::int64_t rows() const = 0;
  virtual bool bytes() const { return false; }   ///< the numbers are unsigned bytes
  virtual bool images() const { return false; }  ///< a row has several axes

  /// Appends up to `most` further rows to `numbers`. Returns their number; 0 at the end. Throws InputError
  /// that names the file and the part that cannot be read.
  virtual std::int64_t read(std::int64_t most, std::vector<double>& numbers) = 0;
  virtual void rewind() = 0;

  /// The columns of a CSV file; nullptr for other files.
  virtual const TableColumns* columns() const { return nullptr; }
  /// For the user, a line each.
  virtual std::vector<std::string> remarks() const { return {}; }
  /// Of a CSV file read by columns of another: by column, rows with a text that those do not know.
  virtual std::map<std::string, std::int64_t> unknown() const { return {}; }
};

/// Opens a file by its suffix: .npy; .csv, .tsv, .txt, .data, each also with .gz; and FILE.h5:/dataset. All
/// numbers are finite. `kept`: the columns that a model was trained on, which must outlive the reader;
/// nullptr: they are fitted to this file. Throws InputError for another suffix, for CSV options with another
/// format, and what the readers throw.
std::unique_ptr<RowReader> open_rows(const std::string& path, const TableOptions& options,
                                     const TableColumns* kept);

}  // namespace outerloop::data
