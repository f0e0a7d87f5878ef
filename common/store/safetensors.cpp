#include "common/store/safetensors.h"

#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/store/document.h"
#include "common/store/little_endian.h"

namespace outerloop::store {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kAlignment = 8;  // of the first tensor's bytes, as the format recommends

ordered_json metadata_of(const RuleFile& rule, const std::string& which) {
  ordered_json metadata = {
      {"format", "outerloop"}, {"rule", rule.rule},       {"update", std::to_string(rule.update)},
      {"theta", which},        {"created", rule.created}, {"git_revision", rule.git_revision},
      {"config", rule.config}};
  for (const auto& tensor : rule.layout.tensors()) metadata["axes." + tensor.name] = tensor.axes;
  return metadata;
}

}  // namespace

std::string safetensors_of(const RuleFile& rule, const std::vector<double>& theta, const std::string& which) {
  if (static_cast<std::int64_t>(theta.size()) != rule.layout.size())
    throw Error("θ has " + std::to_string(theta.size()) + " values, its layout " +
                std::to_string(rule.layout.size()) + ": it cannot be exported");
  ordered_json header;
  header["__metadata__"] = metadata_of(rule, which);
  std::string data;
  for (const auto& tensor : rule.layout.tensors()) {
    const auto values = Dataset::float32(theta, tensor.offset, tensor.shape);
    const std::size_t begin = data.size();
    data.append(values.bytes.begin(), values.bytes.end());
    header[tensor.name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
  }
  // A configuration may contain a path that is not UTF-8.
  std::string text = header.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  text.append((kAlignment - text.size() % kAlignment) % kAlignment, ' ');
  return little_endian(static_cast<std::uint64_t>(text.size())) + text + data;
}

}  // namespace outerloop::store
