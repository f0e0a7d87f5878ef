// CIFAR-10 batches. An odd first byte fills the rest up to whole records, which are rare by chance.
#include <vector>

#include "common/base/error.h"
#include "common/data/cifar.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
  using namespace outerloop;
  constexpr std::size_t kRecord = 3073;
  static tests::MemoryFile file;
  if (count == 0) return 0;
  std::vector<std::uint8_t> content(bytes + 1, bytes + count);
  if (bytes[0] % 2 == 1) content.resize((content.size() / kRecord + 1) * kRecord);
  file.write(content.data(), content.size());
  try {
    const data::WorkingSet set = data::read_cifar({file.path()});
    const std::size_t records = content.size() / kRecord;
    tests::require(records * kRecord == content.size() && set.labels.size() == records, "whole records");
    tests::require(set.pixels.size() == records * 1024, "an image for every label");
    for (std::size_t i = 0; i < records; ++i)
      tests::require(set.labels[i] == content[i * kRecord] && set.labels[i] < 10, "labels are classes");
  } catch (const Error& error) {
    tests::require(std::string(error.what()).find(file.path()) == 0, "a refusal names the file");
  }
  return 0;
}
