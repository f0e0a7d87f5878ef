#pragma once
// Conflict between domains: the meta-objective of one rises while that of another falls.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace outerloop::coordinator {

/// Running means of the meta-objective by domain are columns of the history under this name, a dot and the
/// domain.
inline constexpr const char* kDomainColumn = "meta_objective_smooth_of_domain";

/// Updates that a conflict is looked for in.
constexpr std::int64_t kConflictUpdates = 1000;

/// One domain's meta-objective at both ends of those updates.
struct DomainTrend {
  std::string domain;
  double first = 0.0;  ///< mean over the first tenth
  double last = 0.0;   ///< mean over the last tenth
};

struct DomainConflict {
  DomainTrend rising;   ///< the domain that rises most
  DomainTrend falling;  ///< the one that falls most
};

/// Looks at the newest kConflictUpdates rows of a history (columns of equal length). A domain rises or falls
/// where the straight line through its ten means over a tenth each is steeper than three standard errors, and
/// changes by more than 1 %. Nothing where no two domains part, or one was not there from the first row on.
std::optional<DomainConflict> domain_conflict(const std::map<std::string, std::vector<double>>& history);

}  // namespace outerloop::coordinator
