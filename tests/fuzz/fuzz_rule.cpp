// The file reader from the first byte on, as `inspect` and --init-theta call it. An odd first byte asks for
// a user block that is right for the rest, so that the HDF5 reader is reached too.
#include "common/base/error.h"
#include "common/store/files.h"
#include "common/store/hdf5.h"
#include "common/store/sealed_file.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
  using namespace outerloop;
  static tests::MemoryFile file;
  if (count == 0) return 0;
  std::vector<std::uint8_t> content(bytes + 1, bytes + count);
  if (bytes[0] % 2 == 1) {
    content.insert(content.begin(), store::kUserBlock, 0);
    if (content.size() > store::kUserBlock) store::seal(content, store::kFormatVersion);
  }
  file.write(content.data(), content.size());
  try {
    const auto rule = store::read_rule(file.path());
    tests::require(rule.theta.size() == static_cast<std::size_t>(rule.layout.size()), "θ fills its layout");
  } catch (const Error& error) {
    tests::require(std::string(error.what()).find(file.path()) == 0, "a refusal names the file");
  }
  return 0;
}
