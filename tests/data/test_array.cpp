// Arrays: NPY files, shapes, labels, scaling.
#include <sys/stat.h>

#include <cmath>
#include <csignal>
#include <limits>

#include "common/base/error.h"
#include "common/base/isolated.h"
#include "common/data/dataset.h"
#include "common/data/npy.h"
#include "tests/catch.h"
#include "tests/data/as_nobody.h"
#include "tests/data/files.h"

namespace outerloop::tests {
namespace {

std::shared_ptr<const data::Dataset> open_npy(const std::string& path, std::int64_t size = 4) {
  return data::open_dataset({"npy", path, size, {}, {}}, "");
}

TEST_CASE("NPY arrays of every kind give the same numbers") {
  const TemporaryFolder folder;
  const auto numbers = [&](const char* descr, const Bytes& elements) {
    write_file(folder / "a.npy", npy_bytes(descr, "(2, 2)", elements));
    return data::read_npy(folder / "a.npy").numbers;
  };
  const std::vector<double> expected{0, 1, 100, 7};
  CHECK(numbers("<f4", raw_bytes<float>({0, 1, 100, 7})) == expected);
  CHECK(numbers("<f8", raw_bytes<double>({0, 1, 100, 7})) == expected);
  CHECK(numbers("|i1", raw_bytes<std::int8_t>({0, 1, 100, 7})) == expected);
  CHECK(numbers("<i2", raw_bytes<std::int16_t>({0, 1, 100, 7})) == expected);
  CHECK(numbers("<i4", raw_bytes<std::int32_t>({0, 1, 100, 7})) == expected);
  CHECK(numbers("<i8", raw_bytes<std::int64_t>({0, 1, 100, 7})) == expected);
  CHECK(numbers("<u2", raw_bytes<std::uint16_t>({0, 1, 100, 7})) == expected);
  CHECK(numbers("<u4", raw_bytes<std::uint32_t>({0, 1, 100, 7})) == expected);
  CHECK(numbers("<u8", raw_bytes<std::uint64_t>({0, 1, 100, 7})) == expected);
  CHECK(numbers("|b1", {0, 1, 1, 0}) == std::vector<double>{0, 1, 1, 0});
  write_file(folder / "a.npy", npy_bytes("|u1", "(2, 2)", {0, 1, 100, 7}));
  CHECK(data::read_npy(folder / "a.npy").bytes == Bytes{0, 1, 100, 7});
}

TEST_CASE("a matrix is written as an NPY file that is read back, its elements where NumPy wants them") {
  const TemporaryFolder folder;
  rule::Matrix matrix(3, 2);
  matrix.values = {-1, 5, 0.5f, 1e30f, 1, -0.0f};
  const std::string bytes = data::npy_of(matrix);
  write_file(folder / "a.npy", Bytes(bytes.begin(), bytes.end()));
  const auto array = data::read_npy(folder / "a.npy");
  CHECK(array.shape == std::vector<std::int64_t>{3, 2});
  CHECK(array.numbers == std::vector<double>{-1, 5, 0.5, static_cast<double>(1e30f), 1, 0});
  CHECK((bytes.size() - 6 * sizeof(float)) % 64 == 0);
}

TEST_CASE("an NPY file is a dataset of vectors or images, with its labels beside") {
  const TemporaryFolder folder;
  SECTION("vectors, column by column") {
    write_file(folder / "x.npy", npy_bytes("<f4", "(3, 2)", raw_bytes<float>({-1, 5, 0, 5, 1, 5})));
    write_file(folder / "x.labels.npy", npy_bytes("<i8", "(3,)", raw_bytes<std::int64_t>({7, -2, 7})));
    const auto set = open_npy(folder.path().string());  // the folder: its x.npy
    CHECK(set->size == 0);
    CHECK(set->inputs == 2);
    CHECK(set->pixels == Bytes{0, 0, 128, 0, 255, 0});
    CHECK(set->class_names == std::vector<std::string>{"-2", "7"});
    CHECK(set->labels == std::vector<std::int32_t>{1, 0, 1});
  }
  SECTION("images, resized, without labels") {
    write_file(folder / "i.npy", npy_bytes("|u1", "(5, 4, 4)", counting(80)));
    const auto set = open_npy(folder / "i.npy", 2);
    CHECK(set->size == 2);
    CHECK(set->inputs == 4);
    CHECK(set->class_names == std::vector<std::string>{"all"});
    CHECK(set->pixels[0] == 3);  // (0 + 1 + 4 + 5) / 4, rounded up
  }
  SECTION("colour") {
    Bytes red;
    for (int i = 0; i < 8; ++i) red.insert(red.end(), {255, 0, 0});
    write_file(folder / "c.npy", npy_bytes("|u1", "(2, 2, 2, 3)", red));
    CHECK(open_npy(folder / "c.npy", 2)->pixels == Bytes(8, 76));
  }
  SECTION("ranges are those of the numbers, class by class") {
    write_file(folder / "x.npy", npy_bytes("<f4", "(3, 2)", raw_bytes<float>({-1, 5, 0, 8, 1, 5})));
    write_file(folder / "x.labels.npy", npy_bytes("<i8", "(3,)", raw_bytes<std::int64_t>({7, 2, 7})));
    const auto set = open_npy(folder / "x.npy");
    REQUIRE(set->ranges.size() == 2);
    CHECK(set->ranges[0].low == 0.0);
    CHECK(set->ranges[0].high == 8.0);
    CHECK(set->ranges[1].low == -1.0);
    CHECK(set->ranges[1].high == 5.0);
  }
  SECTION("images of floats, over the whole array") {
    write_file(folder / "f.npy", npy_bytes("<f8", "(1, 2, 2)", raw_bytes<double>({-1e308, 0, 1e308, 0})));
    CHECK(open_npy(folder / "f.npy", 2)->pixels == Bytes{0, 128, 255, 128});
  }
}

TEST_CASE("NPY files that are cut, damaged or of another kind are refused by name") {
  const TemporaryFolder folder;
  const auto message = [&](const Bytes& bytes) {
    write_file(folder / "x.npy", bytes);
    return refusal([&] { open_npy(folder / "x.npy"); });
  };
  const Bytes good = npy_bytes("|u1", "(4, 5)", counting(20));
  for (std::size_t length = 0; length < good.size(); ++length)
    holds(message(first_bytes(good, length)), (folder / "x.npy"));
  const Bytes longer = npy_bytes("|u1", "(4, 5)", counting(21));
  holds(message(longer), "announces 20 bytes, the file holds 21");
  Bytes version = good;
  version[6] = 9;
  holds(message(version), "NPY version 9");
  holds(message(npy_bytes("<c8", "(4, 5)", counting(160))), "'<c8'");
  holds(message(npy_bytes("|O", "(4, 5)", counting(80))), "'|O'");
  holds(message(npy_bytes("|u1", "(4, 0)", {})), "holds nothing");
  holds(message(npy_bytes("|u1", "(4, -5)", counting(20))), "holds nothing");
  holds(message(npy_bytes("|u1", "()", counting(1))), "a single number");
  holds(message(npy_bytes("|u1", "(20,)", counting(20))), "reshape");
  holds(message(npy_bytes("|u1", "(2, 2, 5)", counting(20))), "reshape");
  holds(message(npy_bytes("|u1", "(1, 1, 1, 1, 20)", counting(20))), "5 axes");
  holds(message(npy_bytes("<f8", "(99999999, 99999999)", counting(20))), "more than 2^31");
  holds(message(npy_bytes("|u1", "(1, 70000)", counting(70000))), "up to 65536 inputs");
  holds(message(npy_bytes("|u1", "(99999999999999999999, 1)", counting(20))), "cannot be read");
  holds(message(npy_bytes("|u1", "(4 5)", counting(20))), "cannot be read");
  holds(message(npy_bytes("|u1', 'x': '", "(4, 5)", counting(20))), "cannot be read");
  holds(message(npy_bytes("<f4", "(1, 2)", raw_bytes<float>({1, std::numeric_limits<float>::quiet_NaN()}))),
        "number 1 is not finite");
}

TEST_CASE("labels that are there but cannot be read are not passed over") {
  const TemporaryFolder folder;
  write_file(folder / "x.npy", npy_bytes("<f4", "(3, 2)", raw_bytes<float>({0, 10, 1, 20, 2, 30})));
  const auto message = [&] { return refusal([&] { open_npy(folder / "x.npy"); }); };
  const std::string labels = folder / "x.labels.npy";
  std::filesystem::create_symlink("nowhere.npy", labels);
  holds(message(), labels + ": is a symbolic link that leads nowhere");
  std::filesystem::remove(labels);
  std::filesystem::create_symlink("x.labels.npy", labels);  // a circle
  holds(message(), labels + ": cannot be read (Too many levels of symbolic links)");
  std::filesystem::remove(labels);
  REQUIRE(::mkfifo(labels.c_str(), 0600) == 0);
  holds(message(), labels + ": is a pipe or a device, no file");
  std::filesystem::remove(labels);
  std::filesystem::create_directory(folder / "private");
  write_file(folder / "private/l.npy", npy_bytes("|u1", "(3,)", {0, 1, 0}));
  std::filesystem::create_symlink("private/l.npy", labels);
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  std::filesystem::permissions(folder / "private", std::filesystem::perms::none);
  {
    const AsNobody nobody;
    holds(message(), labels + ": cannot be read (Permission denied)");
  }
  std::filesystem::permissions(folder / "private", std::filesystem::perms(0755));
  CHECK(open_npy(folder / "x.npy")->class_names.size() == 2);
}

TEST_CASE("labels that do not fit the examples are refused") {
  const TemporaryFolder folder;
  write_file(folder / "x.npy", npy_bytes("|u1", "(3, 2)", counting(6)));
  const auto message = [&](const Bytes& labels) {
    write_file(folder / "x.labels.npy", labels);
    return refusal([&] { open_npy(folder / "x.npy"); });
  };
  holds(message(npy_bytes("|u1", "(2,)", {0, 1})), "labels of shape [2] for 3 examples");
  holds(message(npy_bytes("|u1", "(3, 1)", {0, 1, 2})), "one label per example");
  holds(message(npy_bytes("<f4", "(3,)", raw_bytes<float>({0, 0.5f, 1}))), "no whole number");
  holds(message(npy_bytes("<f8", "(3,)", raw_bytes<double>({0, 1e300, 1}))), "no whole number");
}

TEST_CASE("what runs isolated may crash") {
  const auto good = base::run_isolated([] { return Bytes{1, 2, 3}; }, 100);
  CHECK(good.outcome == base::IsolatedResult::Outcome::finished);
  CHECK(good.bytes == Bytes{1, 2, 3});
  const auto crashed = base::run_isolated(
      []() -> Bytes {
        std::raise(SIGSEGV);
        return {};
      },
      100);
  CHECK(crashed.outcome == base::IsolatedResult::Outcome::crashed);
  const auto thrown = base::run_isolated([]() -> Bytes { throw Error("no"); }, 100);
  CHECK(thrown.outcome == base::IsolatedResult::Outcome::crashed);
  const auto flood = base::run_isolated([] { return Bytes(1 << 20); }, 100);
  CHECK(flood.outcome == base::IsolatedResult::Outcome::endless);
}

}  // namespace
}  // namespace outerloop::tests
