// Virtual HDF5 datasets: sources, patterns of their names, rows that come from none.
#include <filesystem>

#include "tests/catch.h"
#include "tests/data/files.h"
#include "tests/data/hdf5_files.h"

namespace outerloop::tests {
namespace {

TEST_CASE("virtual datasets are read over files beside them, and over no others") {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "data/parts");
  write_rows_file(folder / "data/rows.h5");
  write_rows_file(folder / "data/parts/rows.h5");
  write_rows_file(folder / "secret.h5");
  const std::string path = folder / "data/v.h5";
  for (const std::string& source :
       {std::string("rows.h5"), std::string("./parts/rows.h5"), folder / "data/rows.h5"}) {
    write_virtual(path, source);
    CHECK(open_hdf5(path + ":/v")->pixels == counting(60));
  }
  for (const std::string& source : {std::string("../secret.h5"), folder / "secret.h5"}) {
    write_virtual(path, source);
    holds(hdf5_refusal(path + ":/v"), "only files beside its own are read");
  }
  std::filesystem::create_symlink("../secret.h5", folder / "data/link.h5");
  write_virtual(path, "link.h5");
  holds(hdf5_refusal(path + ":/v"), "only files beside its own are read");
  write_virtual(path, "gone.h5");
  holds(hdf5_refusal(path + ":/v"), "data/gone.h5 is missing");
  write_virtual(path, "rows.h5", "/none");
  holds(hdf5_refusal(path + ":/v"), "its part rows.h5:/none: no such dataset");
}

/// A virtual dataset /v of blocks of 20 rows, from the numbered sources that `file_pattern` and `pattern`
/// name.
void write_blocks(const std::string& path, const std::string& file_pattern, const std::string& pattern) {
  const hid_t file = make_file(path);
  const hsize_t shape[] = {20, 3}, most[] = {H5S_UNLIMITED, 3}, start[] = {0, 0},
                count[] = {H5S_UNLIMITED, 1};
  const hid_t whole = H5Screate_simple(2, shape, most), part = H5Screate_simple(2, shape, nullptr);
  REQUIRE(H5Sselect_hyperslab(whole, H5S_SELECT_SET, start, shape, count, shape) >= 0);
  const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
  REQUIRE(H5Pset_virtual(creation, whole, file_pattern.c_str(), pattern.c_str(), part) >= 0);
  REQUIRE(H5Dcreate2(file, "/v", H5T_STD_U8LE, whole, H5P_DEFAULT, creation, H5P_DEFAULT) >= 0);
  if (file_pattern == ".") {
    write_rows(make_rows(file, "/rows0"));
    write_rows(make_rows(file, "/rows1"));
  }
  for (const hid_t space : {whole, part}) H5Sclose(space);
  H5Pclose(creation);
  H5Fclose(file);
}

TEST_CASE("virtual datasets may name their files or datasets by a pattern") {
  const TemporaryFolder folder;
  const std::string path = folder / "v.h5";
  write_blocks(path, "rows-%b.h5", "/rows");
  holds(hdf5_refusal(path + ":/v"), "rows-0.h5 is missing");
  for (const char* name : {"rows-0.h5", "rows-1.h5", "rows-12.h5"}) write_rows_file(folder / name);
  // The library would leave out what comes after the missing one.
  holds(hdf5_refusal(path + ":/v"), "rows-2.h5 is missing, though rows-12.h5 is there: bring that file back");
  std::filesystem::rename(folder / "rows-12.h5", folder / "rows-02.h5");  // no block's name
  Bytes twice = counting(60);
  twice.insert(twice.end(), twice.begin(), twice.begin() + 60);
  CHECK(open_hdf5(path + ":/v")->pixels == twice);
  std::filesystem::create_symlink("nowhere.h5", folder / "rows-2.h5");
  holds(hdf5_refusal(path + ":/v"), "rows-2.h5 is missing: bring that file back");
  std::filesystem::create_directories(folder / "part0");
  std::filesystem::create_directories(folder / "part2");
  write_rows_file(folder / "part0/rows.h5");
  write_blocks(path, "part%b/rows.h5", "/rows");
  CHECK(open_hdf5(path + ":/v")->pixels == counting(60));
  write_rows_file(folder / "part2/rows.h5");
  holds(hdf5_refusal(path + ":/v"), "part1/rows.h5 is missing, though part2/rows.h5 is there");
  write_blocks(path, ".", "/rows%b");
  CHECK(open_hdf5(path + ":/v")->pixels == twice);
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  const hid_t later = make_rows(file, "/rows4");
  write_rows(later);
  H5Dclose(later);
  H5Fclose(file);
  holds(hdf5_refusal(path + ":/v"), ".:/rows2 is missing, though /rows4 is there: bring that dataset back");
  // A later block may no more lie elsewhere than the first.
  std::filesystem::create_directories(folder / "data");
  std::filesystem::rename(folder / "rows-0.h5", folder / "data/rows-0.h5");
  std::filesystem::create_symlink("../rows-1.h5", folder / "data/rows-1.h5");
  write_blocks(folder / "data/v.h5", "rows-%b.h5", "/rows");
  holds(hdf5_refusal((folder / "data/v.h5") + ":/v"), "only files beside its own are read");
  write_rows_file(folder / "50%.h5");
  write_virtual(path, "50%%.h5");
  CHECK(open_hdf5(path + ":/v")->pixels == counting(60));
}

TEST_CASE("a virtual dataset with rows of no source has a remark") {
  const TemporaryFolder folder;
  write_rows_file(folder / "rows.h5");
  // Rows from .. from + 9 of the virtual dataset come from the first 10 of the source.
  const auto remark = [&](const std::vector<hsize_t>& from) {
    const hid_t file = make_file(folder / "v.h5");
    const hsize_t shape[] = {20, 3}, part[] = {10, 3}, none[] = {0, 0};
    const hid_t whole = H5Screate_simple(2, shape, nullptr), source = H5Screate_simple(2, shape, nullptr);
    REQUIRE(H5Sselect_hyperslab(source, H5S_SELECT_SET, none, nullptr, part, nullptr) >= 0);
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    for (const hsize_t row : from) {
      const hsize_t begin[] = {row, 0};
      REQUIRE(H5Sselect_hyperslab(whole, H5S_SELECT_SET, begin, nullptr, part, nullptr) >= 0);
      REQUIRE(H5Pset_virtual(creation, whole, "rows.h5", "/rows", source) >= 0);
    }
    make_rows(file, "/v", creation);
    for (const hid_t space : {whole, source}) H5Sclose(space);
    H5Pclose(creation);
    H5Fclose(file);
    std::vector<std::string> remarks;
    open_hdf5((folder / "v.h5") + ":/v", &remarks);
    return remarks.empty() ? "" : remarks[0];
  };
  CHECK(remark({0, 10}).empty());
  for (const std::vector<hsize_t>& from : {std::vector<hsize_t>{0}, {10}, {0, 0}, {0, 5}})
    holds(remark(from), "v.h5:/v: a virtual dataset, and some of its numbers come from no source");
}

TEST_CASE("virtual datasets of virtual datasets are looked through, and circles of them end") {
  const TemporaryFolder folder;
  write_rows_file(folder / "rows.h5");
  write_virtual(folder / "one.h5", "rows.h5");
  write_virtual(folder / "two.h5", "one.h5", "/v");
  CHECK(open_hdf5((folder / "two.h5") + ":/v")->pixels == counting(60));
  write_virtual(folder / "one.h5", "/etc/passwd");
  holds(hdf5_refusal((folder / "two.h5") + ":/v"), "only files beside its own are read");
  write_virtual(folder / "one.h5", "two.h5", "/v");
  holds(hdf5_refusal((folder / "two.h5") + ":/v"), "a virtual dataset of too many parts");
}

}  // namespace
}  // namespace outerloop::tests
