// CSV files as rows of numbers, with missing values replaced or refused.
#include <cmath>

#include "common/base/error.h"
#include "common/data/csv_dataset.h"
#include "common/data/table_columns.h"
#include "tests/fuzz/input.h"

namespace {

using namespace outerloop;

void read_rows(const std::string& path, bool replace_missing) {
  data::CsvFile file(path);
  data::TableOptions options;
  options.replace_missing = replace_missing;
  std::int64_t rows = 0;
  const auto columns = data::fit_columns(file, options, rows);
  tests::require(rows > 0 && columns.inputs() > 0, "no table is empty");
  // By its own columns, a file can be read to its end.
  file.rewind();
  data::TableEncoder encoder(columns, file, columns.decimal_mark);
  std::vector<double> numbers;
  std::int64_t count = 0;
  for (; file.next(); ++count) encoder.append(numbers);
  tests::require(count == rows, "every row is read");
  tests::require(static_cast<std::int64_t>(numbers.size()) == rows * columns.inputs(), "whole rows");
  for (const double number : numbers) tests::require(std::isfinite(number), "numbers are finite");
  tests::require(encoder.unknown().empty(), "every text is known");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
  static tests::MemoryFile file;
  file.write(bytes, count);
  for (const bool replace_missing : {false, true}) try {
      read_rows(file.path(), replace_missing);
    } catch (const Error& error) {
      tests::require(std::string(error.what()).find(file.path()) == 0, "a refusal names the file");
    }
  try {
    const auto set = data::read_csv_set({file.path(), ""});
    for (const std::int32_t label : set.labels)
      tests::require(label >= 0 && static_cast<std::size_t>(label) < set.class_names.size(),
                     "labels are classes");
  } catch (const Error& error) {
    tests::require(std::string(error.what()).find(file.path()) == 0, "a refusal names the file");
  }
  return 0;
}
