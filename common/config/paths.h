#pragma once
// Relative paths of a configuration: what they are relative to, and where they have led to (resolved_path).
#include <string>
#include <vector>

#include "outerloop/config.pb.h"

namespace outerloop::config {

/// Notes where the relative paths of `config` lead to from `folder`. Of an absolute path nothing is noted,
/// nor of one with environment variables, which are expanded at every start.
void resolve_paths(proto::Config& config, const std::string& folder);

/// Only what was written stays: for a rule that is handed on.
void forget_resolved_paths(proto::Config& config);

/// After `--set key=…`: a path that it has set is relative to the working directory.
void resolve_override(proto::Config& config, const std::string& key);

/// Applies each NAME=PATH or NAME:OLD=PATH of --data: the datasets of that name (and of that path, as
/// written) are read from PATH. Throws InputError where there is none, or where it is open which one is
/// meant.
void set_data_paths(proto::Config& config, const std::vector<std::string>& assignments);

/// Where a dataset of a rule's configuration is read from: notes the resolved paths of the run that the file
/// `rule_path` lies in, of datasets with the same name and path. Does nothing where it lies in no run.
void use_paths_of_run(proto::Config& config, const std::string& rule_path);

/// The path to open: where a relative one has led to, or what was written.
std::string path_of(const proto::Dataset& dataset);

}  // namespace outerloop::config
