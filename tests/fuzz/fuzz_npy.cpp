// NPY files as examples, and those of one axis as labels too.
#include "common/base/error.h"
#include "common/data/npy.h"
#include "common/data/scaling.h"
#include "tests/fuzz/input.h"

namespace {

using namespace outerloop;

void require_whole(const data::WorkingSet& set) {
  const auto examples = static_cast<std::size_t>(set.examples());
  tests::require(examples > 0, "no set is empty");
  const std::size_t numbers = examples * static_cast<std::size_t>(set.numbers());
  tests::require(set.pixels.size() + set.values.size() == numbers, "whole examples");
  if (set.side == 0) {
    for (const auto kind : {data::ScalingKind::quantiles, data::ScalingKind::ranks}) {
      const auto scalings = data::fit_scalings(kind, set, data::ClassSplit::train);
      for (const data::Scaling& scaling : scalings) data::check_scaling(scaling, "fuzz");
      data::WorkingSet scaled = set;
      data::scale_vectors(scalings, "fuzz", scaled);
      tests::require(scaled.pixels.size() == numbers && scaled.values.empty(), "every number has a level");
    }
  }
  for (const std::int32_t label : set.labels)
    tests::require(label >= 0 && static_cast<std::size_t>(label) < set.class_names.size(),
                   "labels are classes");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
  static tests::MemoryFile file;
  file.write(bytes, count);
  try {
    const data::Array array = data::read_npy(file.path());
    std::size_t elements = 1;
    for (const auto extent : array.shape) elements *= static_cast<std::size_t>(extent);
    tests::require(elements == array.bytes.size() + array.numbers.size(),
                   "the shape is that of the elements");
    if (array.shape.size() == 1) {
      data::Array examples;
      examples.shape = {array.shape[0], 1};
      examples.bytes.resize(elements);
      require_whole(data::array_set(examples, array, file.path()));
    } else {
      require_whole(data::array_set(array, {}, file.path()));
    }
  } catch (const Error& error) {
    tests::require(std::string(error.what()).find(file.path()) == 0, "a refusal names the file");
  }
  return 0;
}
