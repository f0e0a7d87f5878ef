#include "common/store/isolated_hdf5.h"

#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/base/isolated.h"
#include "common/store/hdf5.h"

namespace outerloop::store {
namespace {

using nlohmann::json;

// The document is about as large as its file; a far larger answer means that the child malfunctions.
constexpr std::size_t kMostPerByte = 4;
constexpr std::size_t kMostOverhead = 1 << 20;

json to_json(const Attributes& attributes) {
  json object = json::object();
  for (const auto& [name, value] : attributes)
    std::visit([&object, key = name](const auto& v) { object[key] = v; }, value);
  return object;
}

Attributes attributes_from(const json& object) {
  Attributes attributes;
  for (const auto& [name, value] : object.items()) {
    if (value.is_string())
      attributes[name] = value.get<std::string>();
    else if (value.is_number_integer())
      attributes[name] = value.get<std::int64_t>();
    else
      attributes[name] = value.get<double>();
  }
  return attributes;
}

Document document_from(const json& message) {
  if (message.contains("error")) throw Error(message.at("error").get<std::string>());
  Document document;
  document.attributes = attributes_from(message.at("attributes"));
  for (const auto& [path, value] : message.at("datasets").items()) {
    Dataset& dataset = document.datasets[path];
    dataset.type = static_cast<ElementType>(value.at("type").get<int>());
    dataset.shape = value.at("shape").get<std::vector<std::int64_t>>();
    dataset.bytes = value.at("bytes").get_binary();
    dataset.attributes = attributes_from(value.at("attributes"));
  }
  return document;
}

}  // namespace

std::vector<std::uint8_t> hdf5_message(const std::vector<std::uint8_t>& file) {
  json message;
  try {
    const Document document = decode_hdf5(file);
    message["attributes"] = to_json(document.attributes);
    auto& datasets = message["datasets"] = json::object();
    for (const auto& [path, dataset] : document.datasets)
      datasets[path] = {{"type", static_cast<int>(dataset.type)},
                        {"shape", dataset.shape},
                        {"bytes", json::binary(dataset.bytes)},
                        {"attributes", to_json(dataset.attributes)}};
  } catch (const std::exception& error) {
    message = {{"error", error.what()}};
  }
  return json::to_cbor(message);
}

Document document_of_message(const std::vector<std::uint8_t>& message) {
  const json decoded = json::from_cbor(message, true, false);
  if (!decoded.is_object()) throw Error("damaged: the HDF5 library made no document of it");
  try {
    return document_from(decoded);
  } catch (const json::exception&) {
    throw Error("damaged: the HDF5 library made no document of it");
  }
}

Document decode_hdf5_isolated(const std::vector<std::uint8_t>& bytes) {
  using Outcome = base::IsolatedResult::Outcome;
  const auto answer =
      base::run_isolated([&] { return hdf5_message(bytes); }, bytes.size() * kMostPerByte + kMostOverhead);
  if (answer.outcome == Outcome::endless) throw Error("damaged: the HDF5 library did not finish reading it");
  if (answer.outcome == Outcome::crashed) throw Error("damaged: the HDF5 library crashed on it");
  return document_of_message(answer.bytes);
}

}  // namespace outerloop::store
