// Axis names for other programs: HDF5's own labels and dimension scales.
#include <hdf5.h>
#include <hdf5_hl.h>

#include "common/store/hdf5.h"
#include "tests/catch.h"
#include "tests/store/support.h"

using namespace outerloop;
using namespace outerloop::store;
using namespace outerloop::tests;

namespace {

/// A file open for reading, and its datasets.
class Opened {
  template <class F>
  auto with(const std::string& path, const F& f) const {
    const hid_t dataset = H5Dopen2(file_, path.c_str(), H5P_DEFAULT);
    REQUIRE(dataset >= 0);
    const auto result = f(dataset);
    H5Dclose(dataset);
    return result;
  }

 public:
  explicit Opened(const std::string& path) : file_(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT)) {}
  ~Opened() { H5Fclose(file_); }

  std::string label(const std::string& path, unsigned axis) const {
    return with(path, [&](hid_t dataset) {
      char text[64] = "";
      H5DSget_label(dataset, axis, text, sizeof text);
      return std::string(text);
    });
  }
  bool is_scale(const std::string& path) const {
    return with(path, [](hid_t dataset) { return H5DSis_scale(dataset) > 0; });
  }
  int scales(const std::string& path) const {
    return with(path, [](hid_t dataset) { return H5DSget_num_scales(dataset, 0); });
  }
  bool attached(const std::string& path, const std::string& scale) const {
    return with(path, [&](hid_t dataset) {
      return with(scale, [&](hid_t other) { return H5DSis_attached(dataset, other, 0) > 0; });
    });
  }

 private:
  hid_t file_;
};

}  // namespace

TEST_CASE("every axis of a checkpoint has its name, and the history's columns their scale") {
  const Folder folder;
  const auto checkpoint = sample_checkpoint();
  write_checkpoint(folder / "c.h5", checkpoint);
  const Opened opened(folder / "c.h5");
  for (const std::string group : {"/theta/", "/theta_average/", "/adam/m/", "/safe_point/adam/v/"}) {
    CHECK(opened.label(group + "top.in.w", 0) == "kernel");
    CHECK(opened.label(group + "top.in.w", 1) == "channel_out");
  }
  CHECK(opened.label("/streams/10/phi/1/W", 0) == "unit_below");
  CHECK(opened.label("/streams/10/phi/1/W", 1) == "unit");
  CHECK(opened.label("/streams/10/units", 0) == "layer");
  CHECK(opened.is_scale("/history/update"));
  CHECK_FALSE(opened.is_scale("/history/seconds"));
  for (const std::string column : {"/history/seconds", "/history/meta_objective"}) {
    CHECK(opened.label(column, 0) == "update");
    CHECK(opened.attached(column, "/history/update"));
  }
  CHECK(opened.scales("/theta/top.in.w") == 0);
}

TEST_CASE("labels and scales are made of `axes` alone, and leave a document as it was") {
  Document document;
  const std::vector<double> values = {1, 2, 3, 4, 5, 6};
  const auto dataset = [&](std::vector<std::int64_t> shape) {
    return Dataset::float64(values, 0, std::move(shape));
  };
  document.datasets["/g/a"] = dataset({2, 3}).with_axes("row,x");
  document.datasets["/g/row"] = dataset({3}).with_axes("row");  // of another length than a's rows
  document.datasets["/g/x"] = dataset({3}).with_axes("x");
  document.datasets["/g/few"] = dataset({2, 3}).with_axes("x");   // a name too few
  document.datasets["/g/none"] = dataset({2, 3}).with_axes(",");  // names of no letters
  document.datasets["/other/b"] = dataset({3}).with_axes("x");    // the scale is in another group
  document.datasets["/g/y"] = dataset({3}).with_axes("x");        // no scale of its own name
  document.datasets["/g/z"] = dataset({3}).with_axes("y");
  document.datasets["/scalar"] = Dataset::float64({1.0}, 0, {});
  const auto bytes = encode_hdf5(document);
  const auto read = decode_hdf5(bytes);
  CHECK(read.datasets.size() == document.datasets.size());
  for (const auto& [path, written] : document.datasets) {
    INFO(path);
    CHECK(read.datasets.at(path).attributes == written.attributes);
    CHECK(read.datasets.at(path).bytes == written.bytes);
  }
  CHECK(encode_hdf5(read) == bytes);
}
