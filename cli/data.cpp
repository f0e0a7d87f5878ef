#include "cli/data.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/data/class_split.h"
#include "common/data/dataset.h"
#include "common/data/sources.h"
#include "common/store/atomic_file.h"
#include "outerloop/config.pb.h"

namespace outerloop::cli {
namespace {

using data::DatasetKind;
using data::DatasetRequest;
using nlohmann::json;

constexpr int kUsage = 2;
constexpr std::size_t kNamedClasses = 12;  // more are only counted

struct DataOptions {
  std::vector<std::string> datasets;  ///< check: NAME[:PATH]; empty: all that need no path
  std::int64_t size = 14;             ///< check: images are resized to size × size
  std::string json;
};

void write_json(const std::string& path, const json& datasets) {
  const json result = {{"datasets", datasets}};
  if (!path.empty())
    store::write_file_atomically(path, result.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

/// The location of a dataset, or why it is not available.
json describe(const DatasetKind& kind) {
  json entry = {{"name", kind.name}, {"content", kind.content}, {"layout", kind.layout},
                {"path", ""},        {"found", false},          {"message", kind.remedy}};
  if (kind.needs_path()) return entry;
  try {
    DatasetRequest request;
    request.name = kind.name;
    entry["files"] = data::find_source(request).files.size();
    entry["path"] = data::source_path(request).string();
    entry["found"] = true;
    entry["message"] = "";
  } catch (const InputError& error) {
    entry["message"] = error.what();
  }
  return entry;
}

/// The classes of both sides of the split, by name.
std::pair<std::vector<std::string>, std::vector<std::string>> split(const data::Dataset& dataset) {
  std::vector<std::string> train, held_out;
  for (std::size_t label = 0; label < dataset.class_names.size(); ++label)
    (data::is_held_out(data::split_name(dataset, label)) ? held_out : train)
        .push_back(dataset.class_names[label]);
  return {train, held_out};
}

std::string class_list(const std::vector<std::string>& names) {
  if (names.empty() || names.size() > kNamedClasses) return std::to_string(names.size());
  constexpr std::size_t kMostPrinted = 80;  // bytes of a name
  std::vector<std::string> printed;
  for (const std::string& name : names) printed.push_back(base::printable(name, kMostPrinted));
  return fmt::format("{}: {}", names.size(), fmt::join(printed, ", "));
}

std::int64_t fewest_inputs(const data::Dataset& dataset) {
  std::int64_t fewest = dataset.inputs;
  for (const data::ClassGroup& group : dataset.groups) fewest = std::min(fewest, group.inputs);
  return fewest;
}

/// Name, examples, and the smallest and the largest value before anything was scaled or resized.
json per_class(const data::Dataset& dataset) {
  json classes = json::array();
  for (std::size_t label = 0; label < dataset.class_names.size(); ++label)
    classes.push_back({{"name", dataset.class_names[label]},
                       {"examples", dataset.examples_of_class[label].size()},
                       {"min", dataset.ranges[label].low},
                       {"max", dataset.ranges[label].high}});
  return classes;
}

json check(const DatasetRequest& request) {
  json entry = {{"name", request.name}, {"path", request.path}, {"examples", 0},
                {"classes", 0},         {"ok", false},          {"message", ""}};
  std::vector<std::string> remarks;
  try {
    entry["path"] = data::source_path(request).string();
    const auto dataset = data::open_dataset(request, data::default_cache_directory(), &remarks);
    const auto [train, held_out] = split(*dataset);
    entry["examples"] = dataset->examples();
    entry["classes"] = dataset->classes();
    entry["domain"] = data::domain_name(dataset->domain);
    entry["size"] = dataset->size;
    entry["inputs"] = dataset->inputs;
    entry["groups"] = dataset->groups.size();
    entry["fewest_inputs"] = fewest_inputs(*dataset);
    entry["scores"] = !dataset->scores.empty();
    entry["train_classes"] = train;
    entry["held_out_classes"] = held_out;
    entry["sha256"] = dataset->sha256;
    entry["per_class"] = per_class(*dataset);
    entry["ok"] = true;
  } catch (const InputError& error) {
    entry["message"] = error.what();
  }
  entry["warnings"] = remarks;
  return entry;
}

std::string numbers(const json& entry) {
  const auto most = entry.at("inputs").get<std::int64_t>();
  const auto fewest = entry.at("fewest_inputs").get<std::int64_t>();
  return fewest < most ? fmt::format("{} to {} numbers", fewest, most) : fmt::format("{} numbers", most);
}

void print_check(const json& entry) {
  const auto path = entry.at("path").get<std::string>();
  // Names of files and texts from them may hold anything.
  constexpr std::size_t kMostBytes = 1 << 14;
  const auto printed = [](const json& text) { return base::printable(text.get<std::string>(), kMostBytes); };
  fmt::print("{}{}{}\n", printed(entry.at("name")), path.empty() ? "" : "  ", printed(entry.at("path")));
  if (!entry.at("ok").get<bool>()) {
    fmt::print("  NOT OK: {}\n", printed(entry.at("message")));
    return;
  }
  const auto size = entry.at("size").get<std::int64_t>();
  const auto groups = entry.at("groups").get<std::int64_t>();
  fmt::print("  {} examples of {} in {} classes{}{}\n", entry.at("examples").get<std::int64_t>(),
             size > 0 ? fmt::format("{0} x {0} pixels", size) : numbers(entry),
             entry.at("classes").get<std::int64_t>(), groups > 0 ? fmt::format(" of {} worlds", groups) : "",
             entry.at("scores").get<bool>() ? ", with scores" : "");
  fmt::print("  classes: train     {}\n",
             class_list(entry.at("train_classes").get<std::vector<std::string>>()));
  fmt::print("  classes: held_out  {}\n",
             class_list(entry.at("held_out_classes").get<std::vector<std::string>>()));
  for (const auto& warning : entry.at("warnings")) fmt::print("  warning: {}\n", printed(warning));
}

std::vector<DatasetRequest> requests(const DataOptions& options) {
  std::vector<DatasetRequest> result;
  for (const std::string& text : options.datasets) result.push_back(data::parse_request(text));
  for (const DatasetRequest& request : result) data::dataset_kind(request.name);  // throws for unknown names
  if (result.empty())
    for (const DatasetKind& kind : data::dataset_kinds())
      if (!kind.needs_path()) result.push_back({kind.name, "", options.size, {}, {}});
  for (DatasetRequest& request : result) {
    request.size = options.size;
    request.words_per_example = proto::Tasks().words_per_example();
  }
  return result;
}

/// Prints every dataset: a description, and its location or how to get it. Returns 0.
int data_list(const DataOptions& options) {
  json datasets = json::array();
  for (const DatasetKind& kind : data::dataset_kinds()) {
    const json entry = describe(kind);
    const auto path = entry.at("path").get<std::string>();
    const bool found = entry.at("found").get<bool>();
    fmt::print("{:<14} {}\n", kind.name, kind.content);
    if (found)
      fmt::print("{:<14}   found{}{}{}\n", "", path.empty() ? "" : " in ", path,
                 entry.at("files") == 0 ? "" : fmt::format(", {} files", entry.at("files").get<int>()));
    else
      fmt::print("{:<14}   {}: {}\n", "", kind.needs_path() ? "needs a path" : "not found",
                 entry.at("message").get<std::string>());
    datasets.push_back(entry);
  }
  std::fflush(stdout);
  write_json(options.json, datasets);
  return 0;
}

/// Opens each dataset. Returns the exit code.
int data_check(const DataOptions& options) {
  json datasets = json::array();
  bool all_ok = true;
  for (const DatasetRequest& request : requests(options)) {
    datasets.push_back(check(request));
    print_check(datasets.back());
    std::fflush(stdout);
    all_ok = all_ok && datasets.back().at("ok").get<bool>();
  }
  write_json(options.json, datasets);
  return all_ok ? 0 : kUsage;
}

}  // namespace

Command add_data(CLI::App& app) {
  const auto options = std::make_shared<DataOptions>();
  auto* command = app.add_subcommand("data", "Lists the datasets on this machine, and shows their contents.");
  command->require_subcommand(1);
  auto* list = command->add_subcommand(
      "list", "Lists every dataset with its location, or how to get it. Opens nothing.");
  auto* check = command->add_subcommand(
      "check", "Opens datasets: examples, classes, and the class split (trained on or held out).");
  check->add_option("DATASET", options->datasets, "NAME[:PATH][:train|:held_out]")
      ->default_str("all that need no path");
  check->add_option("--size", options->size, "images are resized to this side, in pixels")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1024}))
      ->capture_default_str();
  for (auto* each : {list, check})
    each->add_option("--json", options->json, "also write the output to this file as JSON");
  const std::vector<Command> commands = {{list, [options] { return data_list(*options); }},
                                         {check, [options] { return data_check(*options); }}};
  return {command, [commands] { return run_given(commands); }};
}

}  // namespace outerloop::cli
