#pragma once
// The domains of datasets: images, texts, tables. Task shares, metrics and evaluations are grouped by them.
#include <array>
#include <cstddef>

namespace outerloop::data {

enum class Domain { images, texts, tables };
constexpr std::array<Domain, 3> kDomains{Domain::images, Domain::texts, Domain::tables};

constexpr const char* domain_name(Domain domain) {
  switch (domain) {
    case Domain::images:
      return "images";
    case Domain::texts:
      return "texts";
    case Domain::tables:
      break;
  }
  return "tables";
}

}  // namespace outerloop::data
