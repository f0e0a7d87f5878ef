#pragma once
// Relative paths of a configuration: their base folder, and the resolved paths (resolved_path).
#include <string>
#include <vector>

#include "outerloop/config.pb.h"

namespace outerloop::config {

/// Records where the relative paths of `config` lead to from `folder`. Absolute paths and paths with
/// environment variables, which are expanded at every start, are not recorded.
void resolve_paths(proto::Config& config, const std::string& folder);

/// Removes the resolved paths: for a rule that is passed on to others.
void forget_resolved_paths(proto::Config& config);

/// To call after `--set key=…`: a path set there is relative to the working directory.
void resolve_override(proto::Config& config, const std::string& key);

/// Applies each NAME=PATH or NAME:OLD=PATH of --data: the datasets of that name (and of that path, as
/// written) are read from PATH. Throws InputError where there is none, or where several match.
void set_data_paths(proto::Config& config, const std::vector<std::string>& assignments);

/// The folder of the run that a file lies in (rule.h5, metrics.jsonl, a checkpoint or snapshot); empty where
/// it lies in none.
std::string run_of(const std::string& file);

/// Where a dataset of a rule's configuration is read from: notes the resolved paths of the run that the file
/// `rule_path` lies in, of datasets with the same name and path. Does nothing where it lies in no run.
void use_paths_of_run(proto::Config& config, const std::string& rule_path);

/// The path to open: the resolved one if recorded, else the path as written.
std::string path_of(const proto::Dataset& dataset);
std::string path_of(const proto::Rule& rule);

}  // namespace outerloop::config
