#pragma once
#include <CLI/CLI.hpp>
#include <string>

namespace outerloop::cli {

struct ExportOptions {
  std::string rule;               ///< rule.h5, or a checkpoint
  std::string safetensors;        ///< file to write; empty: none
  std::string torchscript;        ///< likewise
  std::string theta = "average";  ///< average | last
};

/// Adds the command `export` and its flags.
CLI::App* add_export(CLI::App& app, ExportOptions& options);

/// outerloop export: writes θ for programs that do not read rule.h5, and prints what was written. Returns 0.
/// Throws InputError where the rule cannot be read or no file to write is named, and, for TorchScript, where
/// the rule is another than neuron_local or LibTorch is not there.
int export_rule(const ExportOptions& options);

}  // namespace outerloop::cli
