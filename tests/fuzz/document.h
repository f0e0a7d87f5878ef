#pragma once
// Documents whose checksums are right whatever the fuzzer has made of them, so that it reaches what lies
// behind them.
#include <string>

#include "common/base/sha256.h"
#include "common/store/document.h"

namespace outerloop::tests {

/// Sets theta_sha256 and checksum to what the datasets give.
inline void fix_checksums(store::Document& document) {
  const std::string prefix = "/theta/";
  std::map<std::string, const store::Dataset*> by_name;
  for (const auto& [path, dataset] : document.datasets)
    if (path.compare(0, prefix.size(), prefix) == 0)
      by_name[store::name_of_link(path.substr(prefix.size()))] = &dataset;
  base::Sha256 hash;
  for (const auto& [name, dataset] : by_name) hash.update(dataset->bytes.data(), dataset->bytes.size());
  document.attributes["theta_sha256"] = base::hex(hash.finish());
  document.attributes["checksum"] = document.checksum();
}

}  // namespace outerloop::tests
