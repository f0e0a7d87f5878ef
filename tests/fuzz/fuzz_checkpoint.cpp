// The checkpoint reader behind its checksums: the bytes of an HDF5 file (the user block left out), of which
// the sums are put right before the rest of the reader sees it.
#include <algorithm>

#include "common/rule/error.h"
#include "common/store/hdf5.h"
#include "common/store/isolated_hdf5.h"
#include "common/store/rule_file.h"
#include "tests/fuzz/document.h"
#include "tests/fuzz/input.h"

namespace {

using namespace outerloop;

/// The library sets itself up at its first call; done here once, no child has to do it again.
bool warm_up() {
  store::Document document;
  document.attributes = {{"kind", std::string("checkpoint")}, {"update", std::int64_t{1}}, {"seconds", 0.5}};
  document.datasets["/adam/step"] = store::Dataset::integer(1);
  document.datasets["/config"] = store::Dataset::text("seed: 1");
  document.datasets["/theta/one"] = store::Dataset::float32({1.0}, 0, {1});
  return store::decode_hdf5(store::encode_hdf5(document)).datasets.size() == 3;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
  static const bool warm = warm_up();
  static_cast<void>(warm);
  std::vector<std::uint8_t> file(store::kUserBlock + count);
  std::copy_n(bytes, count, file.begin() + store::kUserBlock);
  try {
    store::Document document = store::decode_hdf5_isolated(file);
    tests::fix_checksums(document);
    const auto checkpoint = store::decode_checkpoint(store::DocumentReader(document, "fuzz"));
    const std::size_t size = checkpoint.rule.theta.size();
    tests::require(size == static_cast<std::size_t>(checkpoint.rule.layout.size()), "θ fills its layout");
    for (const auto* moment : {&checkpoint.adam_m, &checkpoint.adam_v})
      tests::require(moment->empty() || moment->size() == size, "Adam's moments fit θ");
  } catch (const Error&) {
  }
  return 0;
}
