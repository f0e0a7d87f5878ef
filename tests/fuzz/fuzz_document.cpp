// The checkpoint reader behind HDF5: a good checkpoint's datasets and attributes, changed by a list of edits.
// Each edit names a dataset by its place among all, and gives it another path, type, shape, bytes or
// attribute.
#include <iterator>

#include "common/base/error.h"
#include "common/store/hdf5.h"
#include "common/store/rule_file.h"
#include "common/store/sealed_file.h"
#include "tests/fuzz/document.h"
#include "tests/fuzz/input.h"
#include "tests/store/support.h"

namespace {

using namespace outerloop;
using store::Dataset;
using store::Document;
using store::ElementType;

constexpr std::size_t kMostBytes = 1 << 16;

Document good_document() {
  const tests::TemporaryFolder folder;
  store::write_checkpoint(folder / "c.h5", tests::sample_checkpoint());
  return store::decode_hdf5(store::read_sealed(folder / "c.h5", store::kFormatVersion));
}

/// As the HDF5 reader gives them: as many bytes as the shape says, and no extent below zero.
void make_consistent(Dataset& dataset) {
  std::size_t bytes = dataset.type == ElementType::text      ? std::max<std::size_t>(1, dataset.bytes.size())
                      : dataset.type == ElementType::float32 ? 4
                                                             : 8;
  if (dataset.type == ElementType::text) dataset.shape.clear();
  for (auto& extent : dataset.shape) {
    extent = std::max<std::int64_t>(0, extent);
    if (extent != 0 && bytes > kMostBytes / static_cast<std::size_t>(extent)) extent = 1;
    bytes *= static_cast<std::size_t>(extent);
  }
  dataset.bytes.resize(bytes);
}

void edit(Document& document, tests::FuzzInput& input) {
  const auto operation = input.number<std::uint8_t>();
  if (document.datasets.empty()) return;
  const auto place = input.number<std::uint8_t>() % document.datasets.size();
  const auto entry = std::next(document.datasets.begin(), static_cast<std::ptrdiff_t>(place));
  Dataset dataset = entry->second;
  std::string path = entry->first;
  switch (operation % 7) {
    case 0:
      document.datasets.erase(entry);
      return;
    case 1:
      path = path.substr(0, path.rfind('/') + 1) + input.text(input.number<std::uint8_t>() % 32);
      break;
    case 2:
      dataset.shape.resize(input.number<std::uint8_t>() % 5);
      for (auto& extent : dataset.shape) extent = input.number<std::int64_t>();
      break;
    case 3:
      dataset.type = static_cast<ElementType>(input.number<std::uint8_t>() % 5);
      break;
    case 4: {
      const std::string bytes = input.text(input.number<std::uint8_t>());
      std::copy_n(bytes.begin(), std::min(bytes.size(), dataset.bytes.size()), dataset.bytes.begin());
      break;
    }
    case 5:
      dataset.attributes[input.text(input.number<std::uint8_t>() % 20)] = input.number<std::int64_t>();
      break;
    default:
      document.attributes[input.text(input.number<std::uint8_t>() % 20)] =
          input.text(input.number<std::uint8_t>() % 70);
      return;
  }
  make_consistent(dataset);
  document.datasets[path] = std::move(dataset);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
  static const Document good = good_document();
  Document document = good;
  tests::FuzzInput input(bytes, count);
  while (!input.empty()) edit(document, input);
  tests::fix_checksums(document);
  try {
    const auto checkpoint = store::decode_checkpoint(store::DocumentReader(document, "fuzz"));
    tests::require(checkpoint.rule.theta.size() == static_cast<std::size_t>(checkpoint.rule.layout.size()),
                   "θ fills its layout");
    for (std::size_t i = 1; i < checkpoint.streams.size(); ++i)
      tests::require(checkpoint.streams[i - 1].stream < checkpoint.streams[i].stream,
                     "streams come once each, in order");
  } catch (const Error&) {
  }
  return 0;
}
