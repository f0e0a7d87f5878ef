#include "common/evaluation/few_shot_data.h"

namespace outerloop::evaluation {
namespace {

using rule::Matrix;

void append(const data::Dataset& from, std::int64_t row, Matrix& to, std::vector<std::int32_t>& labels) {
  const std::uint8_t* pixels = from.pixels.data() + row * from.inputs;
  for (std::int64_t i = 0; i < from.inputs; ++i) to.values.push_back(static_cast<float>(pixels[i]) / 255.0f);
  to.columns = from.inputs;
  ++to.rows;
  labels.push_back(from.labels[static_cast<std::size_t>(row)]);
}

}  // namespace

FewShotData open_few_shot_data(const data::DatasetRequest& request, const std::string& cache_directory) {
  FewShotData result;
  result.name = request.name;
  if (data::has_parts(request.name)) {
    data::DatasetRequest part = request;
    part.part = data::Part::train;
    const auto train = data::open_dataset(part, cache_directory);
    part.part = data::Part::test;
    const auto test = data::open_dataset(part, cache_directory);
    for (std::int64_t i = 0; i < train->examples(); ++i) append(*train, i, result.train, result.train_labels);
    for (std::int64_t i = 0; i < test->examples(); ++i) append(*test, i, result.test, result.test_labels);
    result.classes = train->classes();
    result.size = train->size;
    return result;
  }
  const auto all = data::open_dataset(request, cache_directory);
  for (const auto& rows : all->examples_of_class)
    for (std::size_t i = 0; i < rows.size(); ++i)
      append(*all, rows[i], i % 2 ? result.test : result.train,
             i % 2 ? result.test_labels : result.train_labels);
  result.classes = all->classes();
  result.size = all->size;
  return result;
}

}  // namespace outerloop::evaluation
