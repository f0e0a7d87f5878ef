#pragma once
// Norms of a rule's θ, and the differences between the θ of two files, parameter by parameter.
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "common/store/files.h"

namespace outerloop::cli {

struct TensorSummary {
  double norm = 0.0;  ///< Euclidean
  bool finite = true;
};
/// The norm of elements first .. first + count - 1.
TensorSummary summarize(const std::vector<double>& values, std::int64_t first, std::int64_t count);

/// e.g. "[3, 16, 16]"
std::string shape_text(const std::vector<std::int64_t>& shape);

/// One parameter of two files; no numbers if only one file has it, or if the shapes differ.
struct Difference {
  std::string name;
  std::string where;  ///< "both", or the difference
  bool equal = false;
  double relative = std::numeric_limits<double>::quiet_NaN();  ///< ‖a - b‖ / max(‖a‖, ‖b‖)
  double largest = std::numeric_limits<double>::quiet_NaN();   ///< max |a - b|
};

/// Parameters by name: first those of `a` in order, then those that only `b` has. Equal means equal in every
/// bit (any NaN equals any NaN), so 0 and -0 differ.
std::vector<Difference> compare(const store::RuleFile& a, const store::RuleFile& b);

bool all_equal(const std::vector<Difference>& differences);

}  // namespace outerloop::cli
