#include "common/data/dataset.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>
#include <utility>

#include "common/base/error.h"
#include "common/base/sha256.h"
#include "common/base/text.h"
#include "common/data/class_split.h"
#include "common/data/sources.h"

namespace outerloop::data {
namespace {

constexpr std::int64_t kMaxSize = 1024;

bool takes_part(const std::string& name, ClassSplit split) {
  return split == ClassSplit::all || is_held_out(name) == (split == ClassSplit::held_out);
}

/// The new label of each class, or -1 if the class is not selected or has no example.
std::vector<std::int32_t> select_classes(const WorkingSet& set, ClassSplit split, Dataset& dataset) {
  std::vector<std::int64_t> count(set.class_names.size());
  for (const std::int32_t label : set.labels) ++count[static_cast<std::size_t>(label)];
  std::vector<std::int32_t> renamed(set.class_names.size(), -1);
  dataset.groups = set.groups;
  for (std::size_t i = 0; i < renamed.size(); ++i) {
    if (count[i] == 0 || !takes_part(split_name(set, i), split)) continue;
    renamed[i] = static_cast<std::int32_t>(dataset.class_names.size());
    dataset.class_names.push_back(set.class_names[i]);
    dataset.ranges.push_back(set.ranges[i]);
    if (!set.groups.empty()) dataset.group_of_class.push_back(set.group_of_class[i]);
  }
  return renamed;
}

/// Mean 0 and standard deviation 1/2: a score has the weight of two classes.
void standardise(std::vector<float>& scores) {
  double mean = 0.0;
  for (const float score : scores) mean += static_cast<double>(score) / static_cast<double>(scores.size());
  double variance = 0.0;
  for (const float score : scores)
    variance += (score - mean) * (score - mean) / static_cast<double>(scores.size());
  const double scale = variance > 0.0 ? 0.5 / std::sqrt(variance) : 0.0;
  for (float& score : scores) score = static_cast<float>((score - mean) * scale);
}

/// Selected rows of the set, with their labels.
std::vector<std::size_t> select_rows(const WorkingSet& set, const std::vector<std::int32_t>& renamed,
                                     Dataset& dataset) {
  dataset.examples_of_class.resize(dataset.class_names.size());
  std::vector<std::size_t> rows;
  for (std::size_t row = 0; row < set.labels.size(); ++row) {
    const std::int32_t label = renamed[static_cast<std::size_t>(set.labels[row])];
    if (label < 0) continue;
    dataset.examples_of_class[static_cast<std::size_t>(label)].push_back(
        static_cast<std::int32_t>(rows.size()));
    dataset.labels.push_back(label);
    if (!set.scores.empty()) dataset.scores.push_back(set.scores[row]);
    rows.push_back(row);
  }
  standardise(dataset.scores);
  return rows;
}

/// Pixels of examples, each as long as its group's are.
void append_of_groups(const WorkingSet& set, const std::vector<std::int32_t>& renamed, Dataset& dataset) {
  const std::uint8_t* next = set.pixels.data();
  for (const std::int32_t of_set : set.labels) {
    const auto place = static_cast<std::size_t>(of_set);
    const std::int64_t inputs = set.groups[static_cast<std::size_t>(set.group_of_class[place])].inputs;
    if (renamed[place] >= 0) {
      dataset.starts.push_back(dataset.pixels.size());
      dataset.pixels.insert(dataset.pixels.end(), next, next + inputs);
    }
    next += inputs;
  }
}

void append_examples(WorkingSet set, const std::vector<std::int32_t>& renamed, Dataset& dataset) {
  const std::vector<std::size_t> rows = select_rows(set, renamed, dataset);
  if (!set.groups.empty()) return append_of_groups(set, renamed, dataset);
  if (rows.size() == set.labels.size()) {
    dataset.pixels = std::move(set.pixels);
    return;
  }
  const auto inputs = static_cast<std::size_t>(dataset.inputs);
  dataset.pixels.resize(rows.size() * inputs);
  for (std::size_t i = 0; i < rows.size(); ++i)
    std::copy_n(set.pixels.data() + rows[i] * inputs, inputs, dataset.pixels.data() + i * inputs);
}

/// True if any two examples differ in value or length, or if there are fewer than two.
bool varies(const Dataset& dataset) {
  const std::uint8_t* first = dataset.example(0);
  const std::int64_t numbers = dataset.inputs_of(dataset.labels[0]);
  for (std::int64_t row = 1; row < dataset.examples(); ++row)
    if (dataset.inputs_of(dataset.labels[static_cast<std::size_t>(row)]) != numbers ||
        !std::equal(first, first + numbers, dataset.example(row)))
      return true;
  return dataset.examples() < 2;
}

std::string nothing_to_learn(const DatasetRequest& request, const Dataset& dataset) {
  return "dataset " + request.name + (request.path.empty() ? "" : ":" + request.path) + ": all " +
         std::to_string(dataset.examples()) +
         " examples are equal, so there is nothing to learn from them: the meta-objective of a rule without "
         "labels stays at 2";
}

/// Removes characters that would break a line or move the terminal's cursor: file names may contain any
/// character.
void say_once(const std::vector<std::string>& remarks) {
  static std::mutex mutex;
  static std::set<std::string> said;
  const std::lock_guard<std::mutex> lock(mutex);
  for (const std::string& remark : remarks)
    if (said.insert(remark).second) std::fprintf(stderr, "warning: %s\n", remark.c_str());
}

std::string content_sha256(const Dataset& dataset) {
  base::Sha256 hash;
  hash.update_text(dataset.name);
  hash.update_number(static_cast<std::uint64_t>(dataset.size));
  hash.update_number(static_cast<std::uint64_t>(dataset.inputs));
  hash.update_number(dataset.class_names.size());
  for (const std::string& name : dataset.class_names) hash.update_text(name);
  hash.update_number(dataset.labels.size());
  for (const std::int32_t label : dataset.labels) hash.update_number(static_cast<std::uint64_t>(label));
  hash.update(dataset.pixels.data(), dataset.pixels.size());
  for (const float score : dataset.scores) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &score, sizeof bits);
    hash.update_number(bits);
  }
  for (const ClassGroup& group : dataset.groups) {
    hash.update_text(group.name);
    hash.update_number(static_cast<std::uint64_t>(group.inputs));
  }
  for (const std::int32_t group : dataset.group_of_class)
    hash.update_number(static_cast<std::uint64_t>(group));
  return base::hex(hash.finish());
}

}  // namespace

std::int64_t Dataset::inputs_of(std::int32_t label) const {
  if (groups.empty()) return inputs;
  return groups[static_cast<std::size_t>(group_of_class[static_cast<std::size_t>(label)])].inputs;
}

const std::uint8_t* Dataset::example(std::int64_t row) const {
  return pixels.data() +
         (starts.empty() ? row * inputs : static_cast<std::int64_t>(starts[static_cast<std::size_t>(row)]));
}

std::vector<std::vector<std::int32_t>> Dataset::classes_with(std::int64_t examples) const {
  std::vector<std::vector<std::int32_t>> classes(std::max<std::size_t>(1, groups.size()));
  for (std::size_t label = 0; label < examples_of_class.size(); ++label)
    if (static_cast<std::int64_t>(examples_of_class[label].size()) >= examples)
      classes[groups.empty() ? 0 : static_cast<std::size_t>(group_of_class[label])].push_back(
          static_cast<std::int32_t>(label));
  return classes;
}

std::shared_ptr<const Dataset> open_dataset(const DatasetRequest& request, const std::string& cache_directory,
                                            std::vector<std::string>* remarks) {
  if (request.size < 1 || request.size > kMaxSize)
    throw InputError("dataset " + request.name + ": size " + std::to_string(request.size) +
                     ", allowed are 1 to " + std::to_string(kMaxSize) + " pixels");
  WorkingSet set = open_source(request, cache_directory);
  std::vector<std::string> lines = std::move(set.remarks);
  auto dataset = std::make_shared<Dataset>();
  dataset->name = request.name;
  const Domain by_shape = set.side > 0 ? Domain::images : Domain::tables;
  dataset->domain = dataset_kind(request.name).domain.value_or(by_shape);
  dataset->size = set.side;
  dataset->inputs = set.numbers();
  dataset->bag_of_words = dataset_kind(request.name).bag_of_words;
  const std::vector<std::int32_t> renamed = select_classes(set, request.classes, *dataset);
  append_examples(std::move(set), renamed, *dataset);
  if (dataset->labels.empty())
    throw InputError("dataset " + request.name + ": no class is left by the class split: take classes: all");
  dataset->sha256 = content_sha256(*dataset);
  if (!varies(*dataset)) lines.push_back(nothing_to_learn(request, *dataset));
  constexpr std::size_t kMostPrinted = 1 << 14;  // bytes: lists of names are long
  for (std::string& line : lines) line = base::printable(line, kMostPrinted);
  if (remarks == nullptr)
    say_once(lines);
  else
    remarks->insert(remarks->end(), lines.begin(), lines.end());
  return dataset;
}

bool has_parts(const std::string& name) { return dataset_kind(name).parts; }

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
