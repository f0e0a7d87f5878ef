#pragma once
// Conflict between domains: the meta-objective of one rises while that of another falls.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace outerloop::coordinator {

/// History columns with running means of the meta-objective by domain: this name, a dot and the domain.
inline constexpr const char* kDomainColumn = "meta_objective_smooth_of_domain";

/// Updates over which a conflict is sought.
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

/// A conflict in the newest kConflictUpdates rows of a history (columns of equal length). The window is
/// divided into tenths, and a straight line is fitted to their ten means. A domain rises or falls if the
/// slope exceeds three standard errors and the change exceeds 1 %. Nothing if no two domains diverge, or one
/// lacks values in the window.
std::optional<DomainConflict> domain_conflict(const std::map<std::string, std::vector<double>>& history);

}  // namespace outerloop::coordinator
