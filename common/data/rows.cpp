#include "common/data/rows.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/data/hdf5_array.h"
#include "common/data/npy.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

bool is_csv(const std::string& path) {
  const std::string plain = base::ends_with(path, ".gz") ? path.substr(0, path.size() - 3) : path;
  for (const char* suffix : {".csv", ".tsv", ".txt", ".data"})
    if (base::ends_with(plain, suffix)) return true;
  return false;
}

class CsvRows : public RowReader {
 public:
  CsvRows(const std::string& path, const TableOptions& options, const TableColumns* kept)
      : file_(path), kept_(kept) {
    if (kept_ == nullptr) {
      fitted_ = fit_columns(file_, options, rows_);
      mark_ = fitted_.decimal_mark;
    }
    rewind();
    mark_ = encoder_->decimal_mark();
  }

  std::int64_t inputs() const override { return columns()->inputs(); }
  std::int64_t rows() const override { return rows_; }
  const TableColumns* columns() const override { return kept_ != nullptr ? kept_ : &fitted_; }
  std::map<std::string, std::int64_t> unknown() const override { return encoder_->unknown(); }

  std::int64_t read(std::int64_t most, std::vector<double>& numbers) override {
    std::int64_t count = 0;
    for (; count < most && file_.next(); ++count) encoder_->append(numbers);
    return count;
  }

  void rewind() override {
    file_.rewind();
    encoder_ = std::make_unique<TableEncoder>(*columns(), file_, mark_);
  }

 private:
  CsvFile file_;
  const TableColumns* kept_;
  TableColumns fitted_;
  std::int64_t rows_ = -1;
  std::optional<DecimalMark> mark_;
  std::unique_ptr<TableEncoder> encoder_;
};

void check_inputs(const std::vector<std::int64_t>& shape, const std::string& path) {
  constexpr std::int64_t kMostInputs = 65536;
  if (shape.size() < 2) throw InputError(path + ": has one axis; give an array [examples, inputs]");
  const std::int64_t inputs = count_elements(shape, path) / shape.front();
  if (inputs > kMostInputs)
    throw InputError(path + ": " + std::to_string(inputs) + " inputs of an example, and at most " +
                     std::to_string(kMostInputs) + " are read");
}

/// Rows of an array of any type; keeps the position of the next row.
class ArrayRows : public RowReader {
 public:
  std::int64_t inputs() const override { return inputs_; }
  std::int64_t rows() const override { return shape_.front(); }
  bool images() const override { return shape_.size() > 2; }
  void rewind() override { next_ = 0; }

  std::int64_t read(std::int64_t most, std::vector<double>& numbers) override {
    const std::int64_t count = std::min(most, rows() - next_);
    if (count <= 0) return 0;
    const std::size_t begin = numbers.size();
    append(next_, count, numbers);
    const auto bad = std::find_if(numbers.begin() + static_cast<std::ptrdiff_t>(begin), numbers.end(),
                                  [](double x) { return !std::isfinite(x); });
    if (bad != numbers.end()) {
      const auto place = bad - numbers.begin() - static_cast<std::ptrdiff_t>(begin);
      throw InputError(path_ + ": the value in row " + std::to_string(next_ + place / inputs_) + ", column " +
                       std::to_string(place % inputs_) + " (counted from 0) is no finite number");
    }
    next_ += count;
    return count;
  }

 protected:
  ArrayRows(std::string path, std::vector<std::int64_t> shape)
      : path_(std::move(path)), shape_(std::move(shape)) {
    check_inputs(shape_, path_);
    inputs_ = count_elements(shape_, path_) / shape_.front();
  }

 private:
  virtual void append(std::int64_t first, std::int64_t count, std::vector<double>& numbers) = 0;

  std::string path_;
  std::vector<std::int64_t> shape_;
  std::int64_t inputs_ = 0, next_ = 0;
};

class NpyRows : public ArrayRows {
 public:
  explicit NpyRows(const std::string& path) : NpyRows(path, NpyFile(path)) {}
  bool bytes() const override { return file_.bytes(); }

 private:
  NpyRows(const std::string& path, NpyFile file) : ArrayRows(path, file.shape()), file_(std::move(file)) {}
  void append(std::int64_t first, std::int64_t count, std::vector<double>& numbers) override {
    file_.append_rows(first, count, numbers);
  }

  NpyFile file_;
};

/// Some blocks are read at once: each read starts a process and unpacks whole chunks.
class Hdf5FileRows : public ArrayRows {
 public:
  explicit Hdf5FileRows(const std::string& path) : Hdf5FileRows(path, Hdf5Rows(parse_hdf5_path(path))) {}
  bool bytes() const override { return file_.bytes(); }
  std::vector<std::string> remarks() const override { return file_.remarks(); }

 private:
  Hdf5FileRows(const std::string& path, Hdf5Rows file)
      : ArrayRows(path, file.shape()), file_(std::move(file)) {
    constexpr std::int64_t kNumbers = std::int64_t{1} << 22;  // in memory at once
    const std::int64_t chunk = std::max<std::int64_t>(1, file_.chunk_rows());
    most_ = std::max<std::int64_t>(1, kNumbers / inputs());
    if (most_ > chunk) most_ -= most_ % chunk;
  }

  void append(std::int64_t first, std::int64_t count, std::vector<double>& numbers) override {
    while (count > 0) {
      const std::int64_t held = held_.shape.empty() ? 0 : held_.shape.front();
      if (first < held_first_ || first >= held_first_ + held) {
        held_first_ = first - first % most_;
        held_ = Array();
        held_ = file_.read(held_first_, std::min(most_, rows() - held_first_));
        continue;
      }
      const std::int64_t part = std::min(count, held_first_ + held - first);
      const std::int64_t begin = (first - held_first_) * inputs(), end = begin + part * inputs();
      if (held_.is_bytes())
        numbers.insert(numbers.end(), held_.bytes.begin() + begin, held_.bytes.begin() + end);
      else
        numbers.insert(numbers.end(), held_.numbers.begin() + begin, held_.numbers.begin() + end);
      first += part;
      count -= part;
    }
  }

  Hdf5Rows file_;
  std::int64_t most_ = 1;  // rows to hold
  Array held_;             // from row held_first_ on
  std::int64_t held_first_ = 0;
};

}  // namespace

std::unique_ptr<RowReader> open_rows(const std::string& path, const TableOptions& options,
                                     const TableColumns* kept) {
  if (is_csv(path)) return std::make_unique<CsvRows>(path, options, kept);
  const bool npy = base::ends_with(path, ".npy");
  if (!npy && path.find(":/") == std::string::npos)
    throw InputError(path +
                     ": is read by its suffix: .npy, .csv, .tsv, .txt or .data (also with .gz), or "
                     "FILE.h5:/dataset");
  if (!options.drop.empty() || !options.labels.empty() || options.replace_missing)
    throw InputError(path + ": --drop, --labels and --missing are for CSV files: leave them out");
  if (kept != nullptr)
    for (const TableColumn& column : kept->columns)
      if (column.kind == TableColumn::Kind::text)
        throw InputError(path + ": the model was trained on a table with column \"" +
                         base::printable(column.name) + "\" of texts: give a CSV file");
  if (npy) return std::make_unique<NpyRows>(path);
  return std::make_unique<Hdf5FileRows>(path);
}

}  // namespace outerloop::data
