#pragma once
// Every configuration key with its range, default and comment, from config.proto itself.
#include <string>
#include <vector>

namespace outerloop::config {

struct KeyInfo {
  std::string key;            ///< dotted, e.g. "optimizer.learning_rate"
  std::string allowed;        ///< e.g. "0 to 10", "fused | reference", "true | false", "text"
  std::string default_value;  ///< as --set takes it; empty: the key has none
  std::string comment;        ///< one paragraph, followed by the comments of an enumeration's values
};

/// In the schema's order.
std::vector<KeyInfo> describe_keys();

}  // namespace outerloop::config
