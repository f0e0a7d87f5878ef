#include "coordinator/domain_cosines.h"

#include <cmath>
#include <numeric>

#include "common/base/error.h"

namespace outerloop::coordinator {
namespace {

double product(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

}  // namespace

void DomainCosines::add(data::Domain domain, net::FloatView gradient, double squares) {
  Sum& sum = sums_[static_cast<std::size_t>(domain)];
  sum.gradient.resize(gradient.size());
  double* __restrict to = sum.gradient.data();
  for (std::size_t i = 0; i < gradient.size(); ++i) to[i] += static_cast<double>(gradient[i]);
  sum.squares += squares;
  sum.norms += std::sqrt(squares);
  if (squares > 0.0) ++sum.directed;
}

/// Within a domain: |Σg|² = Σ|g|² + Σ |a| |b| cos(a, b) and (Σ|g|)² = Σ|g|² + Σ |a| |b|, each pair twice.
/// Between two domains: Σa · Σb = Σ |a| |b| cos(a, b).
std::map<std::string, double> DomainCosines::take() {
  std::map<std::string, double> cosines;
  for (const data::Domain domain : data::kDomains) {
    const Sum& a = sums_[static_cast<std::size_t>(domain)];
    if (a.directed > 1)
      cosines[data::domain_name(domain)] =
          (product(a.gradient, a.gradient) - a.squares) / (a.norms * a.norms - a.squares);
    for (const data::Domain other : data::kDomains) {
      const Sum& b = sums_[static_cast<std::size_t>(other)];
      if (domain < other && a.directed > 0 && b.directed > 0)
        cosines[std::string(data::domain_name(domain)) + "-" + data::domain_name(other)] =
            product(a.gradient, b.gradient) / (a.norms * b.norms);
    }
  }
  clear();
  return cosines;
}

}  // namespace outerloop::coordinator
