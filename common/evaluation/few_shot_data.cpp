#include "common/evaluation/few_shot_data.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/data/class_split.h"

namespace outerloop::evaluation {
namespace {

using rule::Matrix;

/// Example `row` with a label of its own.
void append(const data::Dataset& from, std::int64_t row, std::int32_t label, Matrix& to,
            std::vector<std::int32_t>& labels) {
  const std::uint8_t* pixels = from.example(row);
  to.columns = from.inputs_of(from.labels[static_cast<std::size_t>(row)]);
  for (std::int64_t i = 0; i < to.columns; ++i) to.values.push_back(static_cast<float>(pixels[i]) / 255.0f);
  ++to.rows;
  labels.push_back(label);
}

void append_all(const data::Dataset& from, Matrix& to, std::vector<std::int32_t>& labels) {
  for (std::int64_t row = 0; row < from.examples(); ++row)
    append(from, row, from.labels[static_cast<std::size_t>(row)], to, labels);
}

/// These classes of a dataset without parts, numbered from 0; every second example is a test example.
FewShotData split_in_turn(const data::Dataset& from, const std::vector<std::int32_t>& labels) {
  FewShotData result;
  result.size = from.size;
  for (const std::int32_t label : labels) {
    const auto& rows = from.examples_of_class[static_cast<std::size_t>(label)];
    for (std::size_t i = 0; i < rows.size(); ++i)
      append(from, rows[i], static_cast<std::int32_t>(result.classes), i % 2 ? result.test : result.train,
             i % 2 ? result.test_labels : result.train_labels);
    result.class_names.push_back(from.class_names[static_cast<std::size_t>(label)]);
    ++result.classes;
  }
  return result;
}

}  // namespace

std::vector<std::string> split_names(const data::Dataset& set) {
  std::vector<std::string> names;
  for (std::size_t label = 0; label < set.class_names.size(); ++label)
    names.push_back(data::split_name(set, label));
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

FewShotData open_few_shot_data(const data::DatasetRequest& request, const std::string& cache_directory) {
  if (data::has_parts(request.name)) {
    FewShotData result;
    result.name = data::request_label(request);
    data::DatasetRequest part = request;
    part.part = data::Part::train;
    const auto train = data::open_dataset(part, cache_directory);
    part.part = data::Part::test;
    const auto test = data::open_dataset(part, cache_directory);
    append_all(*train, result.train, result.train_labels);
    append_all(*test, result.test, result.test_labels);
    result.classes = train->classes();
    result.size = train->size;
    result.class_names = train->class_names;
    result.split_names = split_names(*train);
    return result;
  }
  const auto all = data::open_dataset(request, cache_directory);
  std::vector<FewShotData> groups;
  for (const auto& labels : all->classes_with(1))
    if (!labels.empty()) groups.push_back(split_in_turn(*all, labels));
  for (auto& group : groups) group.name = data::request_label(request);
  FewShotData result = std::move(groups.front());
  result.others.assign(std::make_move_iterator(groups.begin() + 1), std::make_move_iterator(groups.end()));
  result.split_names = split_names(*all);
  return result;
}

}  // namespace outerloop::evaluation
