#pragma once
// Reads and writes model.h5: a trained base model with frozen statistics and the scaling of its inputs.
// Sealed as rules are (files.h). Layout: docs/checkpoints.md.
#include <cstdint>
#include <string>

#include "common/rule/kept_model.h"

namespace outerloop::store {

struct ModelFile {
  rule::KeptModel model;  ///< of its rule only the name and a module's bytes; the configuration has the rest
  std::string theta;      ///< which θ trained it: average | last
  std::string theta_sha256;   ///< of its rule, as the rule's file says
  std::int64_t update = 0;    ///< of its rule
  std::string config;         ///< of its rule, protobuf text format
  std::string table;          ///< columns of the table that it was trained on, as JSON; empty: of an array
  std::int64_t examples = 0;  ///< training examples; the statistics cover all of them
  std::int64_t inner_steps = 0, minibatch = 0;
  std::uint64_t seed = 0;
  std::string created;  ///< ISO 8601, UTC
  std::string git_revision;
};

/// Atomically. Throws Error that names the path and the reason.
void write_model(const std::string& path, const ModelFile& file);

/// Throws InputError: no such file, ends early, checksum differs, a rule or a checkpoint, newer
/// format_version, sizes that do not fit each other.
ModelFile read_model(const std::string& path);

}  // namespace outerloop::store
