#include "cli/support/feature_file.h"

#include <fmt/format.h>
#include <zlib.h>

#include <cstring>
#include <iterator>
#include <optional>
#include <utility>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/data/npy.h"
#include "common/store/atomic_file.h"
#include "common/store/hdf5_rows.h"

namespace outerloop::cli {
namespace {

class NpyWriter : public FeatureWriter {
 public:
  NpyWriter(const std::string& path, std::int64_t columns) : file_(path), columns_(columns) { write_head(); }

  void add(const rule::Matrix& block) override {
    std::string bytes;
    bytes.reserve(block.values.size() * sizeof(float));
    for (const float value : block.values) {
      std::uint32_t bits = 0;
      std::memcpy(&bits, &value, sizeof bits);
      for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(bits >> shift & 255);
    }
    file_.append(bytes.data(), bytes.size());
    rows_ += block.rows;
  }

  void finish() override {
    const std::string head = data::npy_head(rows_, columns_);  // same length as for 0 rows
    file_.replace_begin(head.data(), head.size());
    file_.finish();
  }

 private:
  void write_head() {
    const std::string head = data::npy_head(0, columns_);
    file_.append(head.data(), head.size());
  }

  store::GrowingFile file_;
  std::int64_t columns_, rows_ = 0;
};

/// Compresses pieces of text into one gzip file.
class Gzip {
 public:
  Gzip() {
    constexpr int kGzip = 15 + 16;  // zlib's window bits, plus its flag for gzip
    OUTERLOOP_CHECK(
        deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) == Z_OK,
        "zlib does not start");
  }
  ~Gzip() { deflateEnd(&stream_); }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;

  std::string packed(const std::string& text, bool last) {
    std::string out;
    std::string buffer(1 << 16, '\0');
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream_.avail_in = static_cast<uInt>(text.size());
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(buffer.data());
      stream_.avail_out = static_cast<uInt>(buffer.size());
      deflate(&stream_, last ? Z_FINISH : Z_NO_FLUSH);
      out.append(buffer, 0, buffer.size() - stream_.avail_out);
    } while (stream_.avail_out == 0);
    return out;
  }

 private:
  z_stream stream_{};
};

class CsvWriter : public FeatureWriter {
 public:
  CsvWriter(const std::string& path, std::int64_t columns) : file_(path) {
    if (base::ends_with(path, ".gz")) gzip_.emplace();
    std::string header;
    for (std::int64_t j = 1; j <= columns; ++j) header += fmt::format("{}feature_{}", j > 1 ? "," : "", j);
    write(header + "\n", false);
  }

  void add(const rule::Matrix& block) override {
    fmt::memory_buffer text;
    for (std::int64_t i = 0; i < block.rows; ++i)
      for (std::int64_t j = 0; j < block.columns; ++j)
        fmt::format_to(std::back_inserter(text), "{}{}", block.row(i)[j], j + 1 < block.columns ? ',' : '\n');
    write(fmt::to_string(text), false);
  }

  void finish() override {
    write("", true);
    file_.finish();
  }

 private:
  void write(const std::string& text, bool last) {
    const std::string bytes = gzip_ ? gzip_->packed(text, last) : text;
    file_.append(bytes.data(), bytes.size());
  }

  store::GrowingFile file_;
  std::optional<Gzip> gzip_;
};

class Hdf5Writer : public FeatureWriter {
 public:
  Hdf5Writer(const std::string& path, std::int64_t columns)
      : file_(path), rows_(temporary_of(path), "/features", columns) {}

  void add(const rule::Matrix& block) override { rows_.add(block.values.data(), block.rows); }
  void finish() override {
    rows_.close();
    file_.finish();
  }

 private:
  const std::string& temporary_of(const std::string& path) const {
    if (file_.temporary().empty()) throw InputError(path + ": HDF5 needs a regular file: give another path");
    return file_.temporary();
  }

  store::GrowingFile file_;
  store::Hdf5RowWriter rows_;
};

}  // namespace

std::unique_ptr<FeatureWriter> write_features(const std::string& path, std::int64_t columns) {
  if (base::ends_with(path, ".csv") || base::ends_with(path, ".csv.gz"))
    return std::make_unique<CsvWriter>(path, columns);
  if (base::ends_with(path, ".h5") || base::ends_with(path, ".hdf5"))
    return std::make_unique<Hdf5Writer>(path, columns);
  if (base::ends_with(path, ".npy") || path.rfind("/dev/", 0) == 0)
    return std::make_unique<NpyWriter>(path, columns);
  throw InputError(path + ": is written by its suffix: .npy, .csv, .csv.gz, .h5 or .hdf5");
}

}  // namespace outerloop::cli
