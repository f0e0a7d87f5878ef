#pragma once
// outerloop data: which datasets are here, and what is in them. docs/data.md.
#include <cstdint>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace outerloop::cli {

struct DataOptions {
  std::vector<std::string> datasets;  ///< check: NAME[:PATH]; empty: all that need no path
  std::int64_t size = 14;             ///< check: images are resized to size × size
  std::string json;
};

/// Describes `data` and its subcommands; after parsing, `options` holds what was given.
CLI::App* add_data(CLI::App& app, DataOptions& options);

/// Runs the subcommand that was given.
int data(const CLI::App& command, const DataOptions& options);

/// Every dataset by name: what it is, and where it is found or how to bring it. Returns 0.
int data_list(const DataOptions& options);

/// Opens each dataset: examples, classes, and which of them the class split trains on. Returns 0, or 2 where
/// one cannot be opened (the others are still checked). Throws InputError for a name that is not known.
int data_check(const DataOptions& options);

}  // namespace outerloop::cli
