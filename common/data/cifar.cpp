#include "common/data/cifar.h"

#include <algorithm>

#include "common/base/error.h"
#include "common/data/image.h"
#include "common/data/source_files.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kPlane = static_cast<std::size_t>(kCifarSide * kCifarSide);
constexpr std::size_t kRecord = 1 + 3 * kPlane;
constexpr std::uint64_t kMostRecords = 1000000;

bool belongs_to(const std::string& file_name, Part part) {
  const bool train = file_name.rfind("data_batch_", 0) == 0;
  const bool test = file_name == "test_batch.bin";
  return (train && part != Part::test) || (test && part != Part::train);
}

}  // namespace

std::vector<std::string> cifar_class_names() {
  return {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
}

std::vector<fs::path> cifar_files(const fs::path& folder, Part part) {
  std::error_code error;
  std::vector<fs::path> files;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const fs::path& path = entry->path();
    std::error_code ignored;
    if (path.extension() == ".bin" && belongs_to(path.filename().string(), part) &&
        entry->is_regular_file(ignored))
      files.push_back(path);
  }
  if (error && error != std::errc::no_such_file_or_directory && error != std::errc::not_a_directory)
    throw InputError("cifar10: " + folder.string() + ": the folder cannot be read (" + error.message() +
                     "): check its permissions");
  if (files.empty()) {
    const std::string wanted = part == Part::train  ? "data_batch_1.bin .. data_batch_5.bin"
                               : part == Part::test ? "test_batch.bin"
                                                    : "data_batch_*.bin or test_batch.bin";
    throw InputError("cifar10: no " + wanted + " in " + folder.string() +
                     ": give the folder that holds CIFAR-10's binary version (cifar-10-batches-bin)");
  }
  std::sort(files.begin(), files.end());
  return files;
}

void append_cifar(const fs::path& file, WorkingSet& set) {
  const std::vector<std::uint8_t> bytes = read_file(file, kMostRecords * kRecord);
  if (bytes.size() % kRecord != 0)
    throw InputError(file.string() + ": " + std::to_string(bytes.size()) +
                     " bytes are no whole number of CIFAR-10 records of " + std::to_string(kRecord) +
                     ": fetch the file again");
  const std::size_t records = bytes.size() / kRecord;
  set.labels.reserve(set.labels.size() + records);
  set.pixels.reserve(set.pixels.size() + records * kPlane);
  std::vector<std::uint8_t> rgb(3 * kPlane);
  std::vector<std::uint8_t> grey(kPlane);
  for (std::size_t i = 0; i < records; ++i) {
    const std::uint8_t* record = bytes.data() + i * kRecord;
    if (record[0] >= set.class_names.size())
      throw InputError(file.string() + ": record " + std::to_string(i) + " has label " +
                       std::to_string(record[0]) + ", CIFAR-10 has 0 to 9: fetch the file again");
    for (std::size_t p = 0; p < kPlane; ++p)
      for (std::size_t channel = 0; channel < 3; ++channel)
        rgb[3 * p + channel] = record[1 + channel * kPlane + p];
    luminance(rgb.data(), kPlane, grey.data());
    set.labels.push_back(record[0]);
    set.pixels.insert(set.pixels.end(), grey.begin(), grey.end());
  }
}

WorkingSet read_cifar(const std::vector<fs::path>& files) {
  WorkingSet set;
  set.side = kCifarSide;
  set.class_names = cifar_class_names();
  for (const fs::path& file : files) append_cifar(file, set);
  return set;
}

}  // namespace outerloop::data
