#pragma once
// Whether all ranks have the same datasets and the same program, by what each of them reports at the start.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace outerloop::cli {

/// What one rank has opened. Of ranks that compute.
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

/// Lines that say how ranks differ.
struct Disagreements {
  std::vector<std::string> datasets;  ///< e.g. "dataset glyphs differs between hosts: ..."; one for each
  std::vector<std::string> program;   ///< at most one
  std::vector<std::string> unknown;   ///< at most one: a revision that is not known may differ
};
Disagreements disagreements(const std::vector<RankReport>& reports);

/// Of each dataset the SHA-256 that most ranks have; of two that as many have, the one of the lower rank.
std::map<std::string, std::string> majority(const std::vector<RankReport>& reports);

}  // namespace outerloop::cli
