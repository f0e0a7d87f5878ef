#pragma once
// Cosines between gradients within a domain and between domains, over a window of updates.
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/data/domain.h"
#include "common/net/transport.h"

namespace outerloop::coordinator {

/// Measures how far the gradients of tasks agree, within a domain and between domains. Keeps one sum of
/// gradients, the size of θ, per domain seen, and makes one pass over each gradient in a window. Windows are
/// the last kUpdates of every kEvery updates.
class DomainCosines {
 public:
  static constexpr std::int64_t kEvery = 100, kUpdates = 10;

  /// Whether the gradients of the update after `update` belong to a window.
  static bool watches(std::int64_t update) { return update % kEvery >= kEvery - kUpdates; }
  /// Whether a window ends with `update`.
  static bool ends(std::int64_t update) { return update % kEvery == 0; }

  /// Adds a gradient as received; `squares` is the sum of its squares.
  void add(data::Domain domain, net::FloatView gradient, double squares);

  /// Mean cosine between two gradients, pairs weighted by the product of their norms, by "images" (both of
  /// that domain) and "images-texts" (one of each). Keys without two non-zero gradients are absent. The next
  /// window begins empty.
  std::map<std::string, double> take();
  void clear() { sums_ = {}; }

 private:
  struct Sum {
    std::vector<double> gradient;  ///< [parameters], or empty: none seen
    double norms = 0.0;
    double squares = 0.0;
    std::int64_t directed = 0;  ///< gradients that are not zero
  };
  std::array<Sum, data::kDomains.size()> sums_;
};

}  // namespace outerloop::coordinator
