#pragma once
// Compares the datasets and programs of all ranks, as reported at start-up.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace outerloop::cli {

/// Report of one computing rank.
struct RankReport {
  struct Dataset {
    std::string sha256;
    std::int64_t examples = 0;
    std::int64_t classes = 0;
  };
  int rank = 0;
  std::string host;
  std::string revision;                     ///< of the program, and its version
  std::map<std::string, Dataset> datasets;  ///< by place and name, e.g. "0.glyphs"
};

/// Messages about differences between ranks.
struct Disagreements {
  std::vector<std::string> datasets;  ///< e.g. "dataset glyphs differs between hosts: ..."; one per dataset
  std::vector<std::string> program;   ///< at most one
  std::vector<std::string> unknown;   ///< at most one: an unknown revision may differ
};
Disagreements disagreements(const std::vector<RankReport>& reports);

/// The most frequent SHA-256 of each dataset; in a tie, that of the lower rank.
std::map<std::string, std::string> majority(const std::vector<RankReport>& reports);

}  // namespace outerloop::cli
