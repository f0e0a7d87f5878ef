#include "common/config/paths.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "common/base/error.h"
#include "common/config/schema.h"
#include "common/data/path_variables.h"
#include "common/data/sources.h"

namespace outerloop::config {
namespace {

namespace fs = std::filesystem;

using Datasets = google::protobuf::RepeatedPtrField<proto::Dataset>;

/// Empty if there is nothing to record.
std::string resolved(const std::string& written, const fs::path& folder) {
  if (written.empty() || fs::path(written).is_absolute() || data::has_variables(written)) return "";
  std::error_code error;
  const fs::path absolute = fs::absolute(folder.empty() ? fs::path(".") : folder, error);
  return error ? "" : (absolute / written).lexically_normal().string();
}

void resolve(proto::Dataset& dataset, const fs::path& folder) {
  const std::string path = resolved(dataset.path(), folder);
  if (path.empty())
    dataset.clear_resolved_path();
  else
    dataset.set_resolved_path(path);
}

void resolve(proto::Rule& rule, const fs::path& folder) {
  const std::string path = resolved(rule.path(), folder);
  if (path.empty())
    rule.clear_resolved_path();
  else
    rule.set_resolved_path(path);
}

void resolve_cache(proto::Tasks& tasks, const fs::path& folder) {
  const std::string path = resolved(tasks.cache_directory(), folder);
  if (path.empty())
    tasks.clear_resolved_cache_directory();
  else
    tasks.set_resolved_cache_directory(path);
}

/// Every list of datasets of a configuration.
std::vector<Datasets*> lists_of(proto::Config& config) {
  std::vector<Datasets*> lists;
  if (config.has_tasks()) lists.push_back(config.mutable_tasks()->mutable_dataset());
  if (config.has_evaluation()) lists.push_back(config.mutable_evaluation()->mutable_dataset());
  return lists;
}

/// An assignment of --data.
struct NewPath {
  std::string name;
  bool of_one = false;  ///< selected by `old`
  std::string old;
  std::string path;
};

NewPath parse(const std::string& assignment) {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == assignment.size())
    throw InputError(
        fmt::format("--data {}: expected NAME=PATH, e.g. --data folder=/data/pictures", assignment));
  NewPath parsed;
  const std::string which = assignment.substr(0, equals);
  const std::size_t colon = which.find(':');
  parsed.name = which.substr(0, colon);
  parsed.of_one = colon != std::string::npos;
  if (parsed.of_one) parsed.old = which.substr(colon + 1);
  parsed.path = assignment.substr(equals + 1);
  data::dataset_kind(parsed.name);  // throws for unknown ones
  return parsed;
}

}  // namespace

void resolve_paths(proto::Config& config, const std::string& folder) {
  for (Datasets* list : lists_of(config))
    for (auto& dataset : *list) resolve(dataset, folder);
  if (config.has_tasks()) resolve_cache(*config.mutable_tasks(), folder);
  if (config.has_rule()) resolve(*config.mutable_rule(), folder);
}

void forget_resolved_paths(proto::Config& config) {
  for (Datasets* list : lists_of(config))
    for (auto& dataset : *list) dataset.clear_resolved_path();
  if (config.has_tasks()) config.mutable_tasks()->clear_resolved_cache_directory();
  if (config.has_rule()) config.mutable_rule()->clear_resolved_path();
}

void resolve_override(proto::Config& config, const std::string& key) {
  if (key == "tasks.cache_directory") resolve_cache(*config.mutable_tasks(), ".");
  if (key == "rule.path") resolve(*config.mutable_rule(), ".");
  if (key == "tasks.dataset.path") resolve(*config.mutable_tasks()->mutable_dataset(0), ".");
  if (key == "evaluation.dataset.path") resolve(*config.mutable_evaluation()->mutable_dataset(0), ".");
}

void set_data_paths(proto::Config& config, const std::vector<std::string>& assignments) {
  for (const auto& assignment : assignments) {
    const NewPath wanted = parse(assignment);
    std::vector<proto::Dataset*> meant;
    std::set<std::string> paths;
    for (Datasets* list : lists_of(config))
      for (auto& dataset : *list) {
        if (dataset.name() != wanted.name || (wanted.of_one && dataset.path() != wanted.old)) continue;
        meant.push_back(&dataset);
        paths.insert(dataset.path());
      }
    if (meant.empty())
      throw InputError(fmt::format("--data {}: the configuration names no such dataset", assignment));
    if (paths.size() > 1)
      throw InputError(
          fmt::format("--data {0}: the configuration names {1} with several paths; say which, e.g. --data "
                      "{1}:{2}={3}",
                      assignment, wanted.name, *paths.rbegin(), wanted.path));
    for (auto* dataset : meant) {
      dataset->set_path(wanted.path);
      resolve(*dataset, ".");
    }
  }
}

std::string run_of(const std::string& file) {
  std::error_code error;
  const fs::path folder = fs::absolute(file, error).parent_path();
  if (error) return {};
  for (const fs::path& candidate : {folder, folder.parent_path()})
    if (fs::is_regular_file(candidate / "config.textproto", error) &&
        (candidate == folder || folder.filename() == "checkpoints" || folder.filename() == "snapshots"))
      return candidate.string();
  return {};
}

void use_paths_of_run(proto::Config& config, const std::string& rule_path) {
  const fs::path run = run_of(rule_path);
  if (run.empty()) return;
  const std::string path = (run / "config.textproto").string();
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  proto::Config saved;
  try {
    saved = parse_text(text.str(), path);
  } catch (const InputError&) {
    return;  // another program's, or damaged: use the rule's own configuration
  }
  for (Datasets* list : lists_of(config))
    for (auto& dataset : *list)
      for (Datasets* saved_list : lists_of(saved))
        for (const auto& other : *saved_list)
          if (other.has_resolved_path() && other.name() == dataset.name() && other.path() == dataset.path())
            dataset.set_resolved_path(other.resolved_path());
}

std::string path_of(const proto::Dataset& dataset) {
  return dataset.resolved_path().empty() ? dataset.path() : dataset.resolved_path();
}

std::string path_of(const proto::Rule& rule) {
  return rule.resolved_path().empty() ? data::expand_variables(rule.path()) : rule.resolved_path();
}

}  // namespace outerloop::config
