// The bytes of a safetensors file, decoded by hand.
#include <cstring>
#include <nlohmann/json.hpp>

#include "common/store/safetensors.h"
#include "tests/catch.h"
#include "tests/store/support.h"

using namespace outerloop;
using namespace outerloop::tests;
using nlohmann::json;

namespace {

std::uint64_t header_size(const std::string& bytes) {
  std::uint64_t size = 0;
  for (int i = 7; i >= 0; --i) size = size << 8 | static_cast<unsigned char>(bytes.at(i));
  return size;
}

}  // namespace

TEST_CASE("a safetensors file holds every tensor by name, one after another, and nothing else") {
  const auto rule = sample_rule();
  const std::string bytes = store::safetensors_of(rule, rule.theta_average, "average");
  const auto size = header_size(bytes);
  CHECK(size % 8 == 0);
  const auto header = json::parse(bytes.substr(8, size));
  std::size_t at = 0;
  for (const auto& tensor : rule.layout.tensors()) {
    const auto& entry = header.at(tensor.name);
    CHECK(entry.at("dtype") == "F32");
    CHECK(entry.at("shape") == tensor.shape);
    CHECK(entry.at("data_offsets") == json({at, at + 4 * tensor.size()}));
    at += 4 * tensor.size();
  }
  CHECK(header.size() == rule.layout.tensors().size() + 1);
  REQUIRE(bytes.size() == 8 + size + 4 * rule.theta.size());
  for (std::size_t i = 0; i < rule.theta.size(); ++i) {
    float value = 0;
    std::memcpy(&value, bytes.data() + 8 + size + 4 * i, 4);
    CHECK(value == static_cast<float>(rule.theta_average[i]));
  }
}

TEST_CASE("its metadata are texts alone, also where a configuration is not UTF-8") {
  auto rule = sample_rule();
  rule.config = "path: \"\xff\"";
  const std::string bytes = store::safetensors_of(rule, rule.theta, "last");
  const auto metadata = json::parse(bytes.substr(8, header_size(bytes))).at("__metadata__");
  for (const auto& [name, value] : metadata.items()) CHECK(value.is_string());
  CHECK(metadata.at("theta") == "last");
  CHECK(metadata.at("update") == "7");
  CHECK(metadata.at("axes.top.in.w") == "kernel,channel_out");
  CHECK_THROWS_AS(store::safetensors_of(rule, {1.0}, "last"), Error);
}
