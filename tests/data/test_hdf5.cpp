// HDF5 arrays: reading, references to other files, locks.
#include <fcntl.h>
#include <hdf5.h>
#include <sys/file.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "common/base/error.h"
#include "common/data/dataset.h"
#include "common/data/hdf5_array.h"
#include "common/data/rows.h"
#include "tests/catch.h"
#include "tests/data/as_nobody.h"
#include "tests/data/files.h"

namespace outerloop::tests {
namespace {

/// A file with one dataset of bytes and one of floats; labels for the first.
void write_hdf5(const std::string& path) {
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hid_t group = H5Gcreate2(file, "/g", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  const auto write = [&](const char* name, hid_t type, hid_t memory, std::vector<hsize_t> shape,
                         const void* data) {
    const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    const hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    REQUIRE(H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    H5Dclose(set);
    H5Sclose(space);
  };
  const Bytes images = counting(3 * 16);
  const std::vector<int> labels{4, 5, 4};
  const std::vector<double> vectors{0, 10, 1, 20};
  const std::vector<int> vector_labels{0, 1};
  write("/images", H5T_STD_U8LE, H5T_NATIVE_UINT8, {3, 4, 4}, images.data());
  write("/images_labels", H5T_STD_I32BE, H5T_NATIVE_INT, {3}, labels.data());
  write("/g/x", H5T_IEEE_F32BE, H5T_NATIVE_DOUBLE, {2, 2}, vectors.data());
  write("/g/labels", H5T_STD_I16LE, H5T_NATIVE_INT, {2}, vector_labels.data());
  // Declared but never written: it has no storage.
  std::vector<hsize_t> huge{1000000, 1000}, chunk{100, 100};
  const hid_t space = H5Screate_simple(2, huge.data(), nullptr);
  const hid_t chunked = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(chunked, 2, chunk.data());
  H5Dclose(H5Dcreate2(file, "/huge", H5T_IEEE_F64LE, space, H5P_DEFAULT, chunked, H5P_DEFAULT));
  const hid_t text = H5Tcopy(H5T_C_S1);
  const hid_t scalar = H5Screate(H5S_SCALAR);
  H5Dclose(H5Dcreate2(file, "/text", text, scalar, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  for (const hid_t id : {space, scalar}) H5Sclose(id);
  H5Tclose(text);
  H5Pclose(chunked);
  H5Gclose(group);
  H5Fclose(file);
}

TEST_CASE("HDF5 datasets are read with the labels beside them") {
  const TemporaryFolder folder;
  write_hdf5(folder / "a.h5");
  const auto images = data::open_dataset({"hdf5", (folder / "a.h5") + ":/images", 4, {}, {}}, "");
  CHECK(images->pixels == counting(48));
  CHECK(images->class_names == std::vector<std::string>{"4", "5"});
  CHECK(images->labels == std::vector<std::int32_t>{0, 1, 0});
  const auto vectors = data::open_dataset({"hdf5", (folder / "a.h5") + ":/g/x", 4, {}, {}}, "");
  CHECK(vectors->pixels == Bytes{0, 0, 255, 255});
  CHECK(vectors->labels == std::vector<std::int32_t>{0, 1});
}

TEST_CASE("rows of an HDF5 dataset come in blocks, the same as all at once") {
  const TemporaryFolder folder;
  const std::string path = folder / "rows.h5";
  constexpr hsize_t kRows = 100000, kColumns = 50;
  std::vector<float> values(kRows * kColumns);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 9973);
  const auto write = [&](hsize_t rows) {
    const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hsize_t shape[] = {rows, kColumns}, chunk[] = {3000, 20};
    const hid_t space = H5Screate_simple(2, shape, nullptr);
    const hid_t packed = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(packed, 2, chunk);
    H5Pset_deflate(packed, 1);
    const hid_t set = H5Dcreate2(file, "/x", H5T_IEEE_F32LE, space, H5P_DEFAULT, packed, H5P_DEFAULT);
    REQUIRE(H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0);
    H5Dclose(set);
    H5Pclose(packed);
    H5Sclose(space);
    H5Fclose(file);
  };
  write(kRows);
  const auto rows = data::open_rows(path + ":/x", {}, nullptr);
  CHECK(rows->rows() == kRows);
  CHECK(rows->inputs() == kColumns);
  for (int pass = 0; pass < 2; ++pass) {
    std::vector<double> numbers;
    std::int64_t count = 0;
    bool same = true;
    while (const auto read = rows->read(7001, numbers)) {
      for (std::size_t i = 0; i < numbers.size(); ++i)
        same = same && numbers[i] == values[static_cast<std::size_t>(count) * kColumns + i];
      count += read;
      numbers.clear();
    }
    CHECK(count == kRows);
    CHECK(same);
    rows->rewind();
  }
  write(kRows / 2);
  std::vector<double> numbers;
  CHECK(holds(refusal([&] {
                while (rows->read(7001, numbers) > 0) {
                }
              }),
              "fewer than before"));
}

TEST_CASE("HDF5 paths and datasets that cannot be are refused by name") {
  const TemporaryFolder folder;
  write_hdf5(folder / "a.h5");
  const auto message = [&](const std::string& path) {
    return refusal([&] { data::open_dataset({"hdf5", path, 4, {}, {}}, ""); });
  };
  holds(message(folder / "a.h5"), "write FILE.h5:/dataset");
  holds(message(":/x"), "write FILE.h5:/dataset");
  holds(message((folder / "none.h5") + ":/x"), "no such file");
  holds(message((folder / "a.h5") + ":/none"), "no such dataset");
  holds(message((folder / "a.h5") + ":/g"), "no such dataset");
  holds(message((folder / "a.h5") + ":/text"), "neither integers nor floats");
  holds(message((folder / "a.h5") + ":/huge"), "announces 1000000000 elements, the file holds 0 bytes");
  write_file(folder / "b.h5", text_bytes("no HDF5"));
  holds(message((folder / "b.h5") + ":/x"), "no HDF5 file");
}

TEST_CASE("HDF5 files with bytes flipped or cut give data or one line, never a crash") {
  const TemporaryFolder folder;
  write_hdf5(folder / "a.h5");
  const data::Array good = data::read_hdf5({folder / "a.h5", "/images"}).x;
  std::ifstream stream(folder / "a.h5", std::ios::binary);
  const Bytes whole(std::istreambuf_iterator<char>(stream), {});
  int refused = 0;
  for (std::size_t at = 0; at < whole.size(); at += whole.size() / 60) {
    Bytes bytes = whole;
    bytes[at] ^= 0x55;
    write_file(folder / "flipped.h5", bytes);
    write_file(folder / "cut.h5", first_bytes(whole, at));
    for (const char* name : {"flipped.h5", "cut.h5"}) {
      try {
        const data::Array array = data::read_hdf5({folder / name, "/images"}).x;
        CHECK(data::count_elements(array.shape, name) ==
              static_cast<std::int64_t>(array.bytes.size() + array.numbers.size()));
      } catch (const InputError& error) {
        holds(error.what(), name);
        CHECK(std::string(error.what()).find("lock") == std::string::npos);
        ++refused;
      }
    }
  }
  CHECK(refused > 40);
  write_file(folder / "cut.h5", first_bytes(whole, whole.size() - 100));
  holds(refusal([&] {
          data::read_hdf5({folder / "cut.h5", "/images"});
        }),
        "cut.h5: incomplete: the HDF5 file is shorter than it says");
}

/// Creates a file for the tests below; closing the file closes all of its identifiers.
hid_t make_file(const std::string& path) {
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
  H5Pclose(access);
  REQUIRE(file >= 0);
  return file;
}

/// 20 rows of 3 bytes, 0 to 59, with the layout of `creation`.
hid_t make_rows(hid_t file, const char* name, hid_t creation = H5P_DEFAULT) {
  const hsize_t shape[] = {20, 3};
  const hid_t space = H5Screate_simple(2, shape, nullptr);
  const hid_t set = H5Dcreate2(file, name, H5T_STD_U8LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  H5Sclose(space);
  REQUIRE(set >= 0);
  return set;
}

void write_rows(hid_t set) {
  const Bytes bytes = counting(60);
  REQUIRE(H5Dwrite(set, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()) >= 0);
}

void write_rows_file(const std::string& path) {
  const hid_t file = make_file(path);
  write_rows(make_rows(file, "/rows"));
  H5Fclose(file);
}

/// A virtual dataset /v, mapped entirely to /rows of `source`.
void write_virtual(const std::string& path, const std::string& source, const char* of = "/rows") {
  const hid_t file = make_file(path);
  const hsize_t shape[] = {20, 3};
  const hid_t space = H5Screate_simple(2, shape, nullptr);
  const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
  REQUIRE(H5Pset_virtual(creation, space, source.c_str(), of, space) >= 0);
  make_rows(file, "/v", creation);
  H5Pclose(creation);
  H5Sclose(space);
  H5Fclose(file);
}

std::shared_ptr<const data::Dataset> open_hdf5(const std::string& path,
                                               std::vector<std::string>* remarks = nullptr) {
  return data::open_dataset({"hdf5", path, 4, {}, {}, 0, data::ScalingKind::none}, "", remarks);
}

std::string hdf5_refusal(const std::string& path) {
  return refusal([&] { open_hdf5(path); });
}

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

TEST_CASE("external links and external storage are refused") {
  const TemporaryFolder folder;
  write_rows_file(folder / "other.h5");
  const std::string path = folder / "a.h5";
  const hid_t file = make_file(path);
  REQUIRE(H5Lcreate_external("other.h5", "/rows", file, "/link", H5P_DEFAULT, H5P_DEFAULT) >= 0);
  REQUIRE(H5Lcreate_external("other.h5", "/", file, "/group", H5P_DEFAULT, H5P_DEFAULT) >= 0);
  REQUIRE(H5Lcreate_soft("/group/rows", file, "/soft", H5P_DEFAULT, H5P_DEFAULT) >= 0);
  write_rows(make_rows(file, "/own"));
  REQUIRE(H5Lcreate_soft("own", file, "/good", H5P_DEFAULT, H5P_DEFAULT) >= 0);
  write_file(folder / "bytes", counting(60));
  const hid_t external = H5Pcreate(H5P_DATASET_CREATE);
  REQUIRE(H5Pset_external(external, (folder / "bytes").c_str(), 0, 60) >= 0);
  make_rows(file, "/outside", external);
  H5Pclose(external);
  H5Fclose(file);
  for (const char* name : {":/link", ":/group/rows", ":/soft"})
    holds(hdf5_refusal(path + name), "an external link leads to another file, and is not followed");
  holds(hdf5_refusal(path + ":/outside"), "in another file (external storage), which is not read");
  CHECK(open_hdf5(path + ":/good")->pixels == counting(60));
  // Labels must not lead to other files either.
  const hid_t again = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  REQUIRE(H5Lcreate_external("other.h5", "/rows", again, "/own_labels", H5P_DEFAULT, H5P_DEFAULT) >= 0);
  H5Fclose(again);
  holds(hdf5_refusal(path + ":/own"), "own_labels: an external link");
  // Nor may a part of a virtual dataset.
  write_virtual(folder / "v.h5", "a.h5", "/link");
  holds(hdf5_refusal((folder / "v.h5") + ":/v"), "an external link leads to another file");
}

TEST_CASE("a dataset that was never written has its fill value, and that is said") {
  const TemporaryFolder folder;
  const hid_t file = make_file(folder / "a.h5");
  make_rows(file, "/rows");
  H5Fclose(file);
  std::vector<std::string> remarks;
  CHECK(open_hdf5((folder / "a.h5") + ":/rows", &remarks)->pixels == Bytes(60, 0));
  REQUIRE(remarks.size() == 2);
  holds(remarks[0], "a.h5:/rows: was never written: all of its numbers are the fill value");
  holds(remarks[1], "all 20 examples are equal");
}

TEST_CASE("a file that another program has open for writing is called locked, not damaged") {
  const TemporaryFolder folder;
  write_rows_file(folder / "a.h5");
  const std::string path = (folder / "a.h5") + ":/rows";
  const int held = ::open((folder / "a.h5").c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(::flock(held, LOCK_EX) == 0);
  const std::string message = hdf5_refusal(path);
  holds(message, "a.h5: locked: another program has it open for writing");
  holds(message, "HDF5_USE_FILE_LOCKING=FALSE");
  REQUIRE(::flock(held, LOCK_SH) == 0);  // another reader
  CHECK(open_hdf5(path)->examples() == 20);
  ::close(held);
  // The mark left by a writer of the newest format that ended without closing the file.
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
  const hid_t file = H5Fcreate((folder / "b.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
  write_rows(make_rows(file, "/rows"));
  H5Fflush(file, H5F_SCOPE_GLOBAL);
  std::filesystem::copy_file(folder / "b.h5", folder / "c.h5");
  H5Fclose(file);
  H5Pclose(access);
  holds(hdf5_refusal((folder / "c.h5") + ":/rows"), "h5clear -s");
}

TEST_CASE("a file that may not be read is not called damaged") {
  const TemporaryFolder folder;
  write_rows_file(folder / "a.h5");
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  std::filesystem::permissions(folder / "a.h5", std::filesystem::perms::none);
  const AsNobody nobody;
  holds(hdf5_refusal((folder / "a.h5") + ":/rows"), "a.h5: cannot be read (Permission denied)");
}

}  // namespace
}  // namespace outerloop::tests
