// IDX files, plain and compressed.
#include "common/base/error.h"
#include "common/data/idx.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
  using namespace outerloop;
  static tests::MemoryFile file;
  file.write(bytes, count);
  try {
    const auto idx = data::read_idx(file.path());
    std::size_t elements = 1;
    for (const auto extent : idx.shape) elements *= static_cast<std::size_t>(extent);
    tests::require(elements == idx.elements.size() && elements > 0, "the shape is that of the elements");
  } catch (const Error&) {
  }
  return 0;
}
