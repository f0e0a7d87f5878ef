// CIFAR-10 in its binary form.
#include <cmath>

#include "common/base/error.h"
#include "common/data/cifar.h"
#include "common/data/dataset.h"
#include "tests/catch.h"
#include "tests/data/files.h"

namespace outerloop::tests {
namespace {

TEST_CASE("CIFAR-10 is read in grey, in its parts") {
  const TemporaryFolder folder;
  for (const char* name : {"data_batch_1.bin", "data_batch_2.bin"})
    write_file(folder / name, cifar_bytes(20));
  write_file(folder / "test_batch.bin", cifar_bytes(10));
  write_file(folder / "batches.meta.txt", text_bytes("airplane\n"));
  data::DatasetRequest request{"cifar10", folder.path().string(), 8, {}, {}};
  const auto all = data::open_dataset(request, (folder / "cache"));
  CHECK(all->examples() == 50);
  CHECK(all->classes() == 10);
  CHECK(all->class_names[9] == "truck");
  CHECK(all->inputs == 64);
  for (std::size_t i = 0; i < 50; ++i) {
    const double record = static_cast<double>(i % 20);
    CHECK(all->labels[i] == static_cast<std::int32_t>(i % 10));
    CHECK(std::abs(all->pixels[64 * i + 13] - (0.299 * 3 + 0.587 * 5 + 0.114 * 7) * record) < 0.51);
  }
  request.part = data::Part::train;
  CHECK(data::open_dataset(request, (folder / "cache"))->examples() == 40);
  request.part = data::Part::test;
  const auto test = data::open_dataset(request, (folder / "cache"));
  CHECK(test->examples() == 10);
  CHECK(test->sha256 == data::open_dataset(request, (folder / "cache"))->sha256);
  CHECK(test->sha256 == data::open_dataset(request, "")->sha256);
}

TEST_CASE("CIFAR-10's planes are red, green and blue, rows from the top") {
  const TemporaryFolder folder;
  Bytes record = cifar_bytes(1);
  record[1 + 5] = 255;            // red, row 0
  record[1 + 1024 + 32] = 255;    // green, row 1
  record[1 + 2048 + 1023] = 255;  // blue, the last pixel
  write_file(folder / "test_batch.bin", record);
  const data::WorkingSet set = data::read_cifar({folder / "test_batch.bin"});
  CHECK(set.pixels[5] == 76);
  CHECK(set.pixels[32] == 150);
  CHECK(set.pixels[1023] == 29);
}

TEST_CASE("truncated, mislabelled, oversized and empty CIFAR-10 files are refused by name") {
  const TemporaryFolder folder;
  const auto message = [&](const Bytes& bytes) {
    write_file(folder / "data_batch_1.bin", bytes);
    return refusal([&] { data::read_cifar({folder / "data_batch_1.bin"}); });
  };
  const Bytes good = cifar_bytes(3);
  for (std::size_t length = 1; length < good.size(); length += 97)
    holds(message(first_bytes(good, length)), "no whole number of CIFAR-10 records");
  holds(message({}), "the file is empty");
  Bytes longer = good;
  longer.push_back(0);
  holds(message(longer), (folder / "data_batch_1.bin"));
  Bytes mislabelled = good;
  mislabelled[3073] = 10;
  holds(message(mislabelled), "record 1 has label 10");
  std::filesystem::resize_file(folder / "data_batch_1.bin", std::uintmax_t{3073} * 1000001);  // sparse
  holds(refusal([&] { data::read_cifar({folder / "data_batch_1.bin"}); }), "more than the");
  const TemporaryFolder empty;
  holds(refusal([&] {
          data::open_dataset({"cifar10", empty.path().string(), 8, {}, {}}, "");
        }),
        "cifar-10-batches-bin");
  holds(refusal([&] { data::open_dataset({"cifar10", "", 8, {}, {}}, ""); }), "cifar10: no path");
}

}  // namespace
}  // namespace outerloop::tests
