#include "common/data/dataset.h"

#include <algorithm>
#include <cstdlib>

#include "common/data/class_split.h"
#include "common/data/digest.h"
#include "common/data/resize.h"
#include "common/data/sources.h"
#include "common/rule/error.h"

namespace outerloop::data {
namespace {

constexpr std::int64_t kMaxSize = 1024;
constexpr std::int64_t kMaxPixels = std::int64_t{1} << 34;

bool takes_part(const std::string& class_name, ClassSplit split) {
  return split == ClassSplit::all || is_held_out(class_name) == (split == ClassSplit::held_out);
}

/// The label that each class gets, or -1 where it takes no part or has no example.
std::vector<std::int32_t> select_classes(const WorkingSet& set, ClassSplit split, Dataset& dataset) {
  std::vector<std::int64_t> count(set.class_names.size());
  for (const std::int32_t label : set.labels) ++count[static_cast<std::size_t>(label)];
  std::vector<std::int32_t> renamed(set.class_names.size(), -1);
  for (std::size_t i = 0; i < renamed.size(); ++i) {
    if (count[i] == 0 || !takes_part(set.class_names[i], split)) continue;
    renamed[i] = static_cast<std::int32_t>(dataset.class_names.size());
    dataset.class_names.push_back(set.class_names[i]);
  }
  return renamed;
}

void append_examples(const WorkingSet& set, const std::vector<std::int32_t>& renamed, Dataset& dataset) {
  dataset.examples_of_class.resize(dataset.class_names.size());
  std::vector<std::size_t> rows;
  for (std::size_t row = 0; row < set.labels.size(); ++row) {
    const std::int32_t label = renamed[static_cast<std::size_t>(set.labels[row])];
    if (label < 0) continue;
    dataset.examples_of_class[static_cast<std::size_t>(label)].push_back(
        static_cast<std::int32_t>(rows.size()));
    dataset.labels.push_back(label);
    rows.push_back(row);
  }
  const auto inputs = static_cast<std::size_t>(dataset.inputs);
  const auto pixels = static_cast<std::size_t>(set.side * set.side);
  dataset.pixels.resize(rows.size() * inputs);
  AreaResize resize(dataset.size, dataset.size);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::uint8_t* from = set.pixels.data() + rows[i] * pixels;
    std::uint8_t* to = dataset.pixels.data() + i * inputs;
    if (set.side == dataset.size)
      std::copy_n(from, pixels, to);
    else
      resize({from, set.side, set.side, set.side}, to);
  }
}

std::string content_sha256(const Dataset& dataset) {
  Sha256 hash;
  hash.update_text(dataset.name);
  hash.update_number(static_cast<std::uint64_t>(dataset.size));
  hash.update_number(static_cast<std::uint64_t>(dataset.inputs));
  hash.update_number(dataset.class_names.size());
  for (const std::string& name : dataset.class_names) hash.update_text(name);
  hash.update_number(dataset.labels.size());
  for (const std::int32_t label : dataset.labels) hash.update_number(static_cast<std::uint64_t>(label));
  hash.update(dataset.pixels.data(), dataset.pixels.size());
  return hex(hash.finish());
}

}  // namespace

std::shared_ptr<const Dataset> open_dataset(const DatasetRequest& request,
                                            const std::string& cache_directory) {
  if (request.size < 1 || request.size > kMaxSize)
    throw InputError("dataset " + request.name + ": size " + std::to_string(request.size) +
                     ", allowed are 1 to " + std::to_string(kMaxSize) + " pixels");
  const WorkingSet set = open_source(request, cache_directory);
  auto dataset = std::make_shared<Dataset>();
  dataset->name = request.name;
  dataset->size = request.size;
  dataset->inputs = request.size * request.size;
  if (set.examples() > std::min<std::int64_t>(kMaxPixels / dataset->inputs, INT32_MAX))
    throw InputError("dataset " + request.name + ": " + std::to_string(set.examples()) + " examples of " +
                     std::to_string(request.size) + " x " + std::to_string(request.size) +
                     " pixels do not fit in memory: take a smaller size");
  append_examples(set, select_classes(set, request.classes, *dataset), *dataset);
  if (dataset->labels.empty())
    throw InputError("dataset " + request.name + ": no class is left by the class split: take classes: all");
  dataset->sha256 = content_sha256(*dataset);
  return dataset;
}

bool has_parts(const std::string& name) { return name == "fashion_mnist" || name == "mnist"; }

std::string default_cache_directory() {
  const auto folder = [](const char* variable, const char* below) -> std::string {
    const char* value = std::getenv(variable);
    return value == nullptr || *value == '\0' ? "" : std::string(value) + below;
  };
  for (const std::string& candidate :
       {folder("OUTERLOOP_CACHE_DIR", ""), folder("XDG_CACHE_HOME", "/outerloop"),
        folder("HOME", "/.cache/outerloop")})
    if (!candidate.empty()) return candidate;
  return "";
}

}  // namespace outerloop::data
