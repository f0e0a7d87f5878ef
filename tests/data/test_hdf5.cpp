// HDF5 arrays: reading, references to other files, locks.
#include <fcntl.h>
#include <hdf5.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "common/base/error.h"
#include "common/data/dataset.h"
#include "common/data/hdf5_array.h"
#include "common/data/rows.h"
#include "tests/catch.h"
#include "tests/data/as_nobody.h"
#include "tests/data/files.h"
#include "tests/data/hdf5_files.h"

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

TEST_CASE("a dataset whose header the library cannot read is not called missing") {
  const TemporaryFolder folder;
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
  H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
  const hid_t file = H5Fcreate((folder / "a.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
  write_rows(make_rows(file, "/rows"));
  H5Fclose(file);
  H5Pclose(access);
  std::ifstream stream(folder / "a.h5", std::ios::binary);
  Bytes bytes(std::istreambuf_iterator<char>(stream), {});
  const std::string begin = "OHDR";  // of an object's header; the first is the root group's
  const auto header = std::find_end(bytes.begin(), bytes.end(), begin.begin(), begin.end());
  REQUIRE(bytes.end() - header > 20);
  header[20] ^= 0x55;
  write_file(folder / "a.h5", bytes);
  holds(hdf5_refusal((folder / "a.h5") + ":/rows"), "/rows: a damaged dataset, or one of a newer version");
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
