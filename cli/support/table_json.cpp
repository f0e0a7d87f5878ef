#include "cli/support/table_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/error.h"
#include "common/base/text.h"

namespace outerloop::cli {
namespace {

using Kind = data::TableColumn::Kind;
using Mark = data::DecimalMark;
constexpr std::array<std::pair<Kind, const char*>, 3> kKinds{
    {{Kind::number, "number"}, {Kind::text, "text"}, {Kind::left_out, "left_out"}}};

data::TableColumn column_of(const nlohmann::json& json) {
  data::TableColumn column;
  json.at("name").get_to(column.name);
  const auto& name = json.at("kind").get_ref<const std::string&>();
  const auto kind =
      std::find_if(kKinds.begin(), kKinds.end(), [&](const auto& k) { return name == k.second; });
  if (kind == kKinds.end()) throw InputError("a column is of kind \"" + base::printable(name) + "\"");
  column.kind = kind->first;
  if (json.contains("values")) json.at("values").get_to(column.values);
  if (json.contains("means")) json.at("means").get_to(column.means);
  const std::size_t inputs = column.kind == Kind::left_out ? 0
                             : column.kind == Kind::number ? 1
                                                           : column.values.size();
  if (column.means.size() != inputs || (column.kind != Kind::text && !column.values.empty()) ||
      !std::is_sorted(column.values.begin(), column.values.end()))
    throw InputError("column \"" + base::printable(column.name) + "\" has values that do not fit its kind");
  return column;
}

}  // namespace

std::string table_json(const data::TableColumns& columns) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const auto& column : columns.columns) {
    nlohmann::ordered_json entry = {{"name", column.name}};
    for (const auto& [kind, name] : kKinds)
      if (kind == column.kind) entry["kind"] = name;
    if (column.kind == Kind::text) entry["values"] = column.values;
    if (column.kind != Kind::left_out) entry["means"] = column.means;
    list.push_back(std::move(entry));
  }
  nlohmann::ordered_json table = {{"named", columns.named}, {"replace_missing", columns.replace_missing}};
  if (columns.decimal_mark) table["decimal_mark"] = *columns.decimal_mark == Mark::comma ? "," : ".";
  table["columns"] = std::move(list);
  try {
    return table.dump();
  } catch (const nlohmann::json::type_error&) {
    throw InputError("the table holds texts that are not UTF-8: convert it, with iconv for one");
  }
}

data::TableColumns table_of_json(const std::string& text, const std::string& name) {
  try {
    const auto table = nlohmann::json::parse(text);
    data::TableColumns columns;
    table.at("named").get_to(columns.named);
    table.at("replace_missing").get_to(columns.replace_missing);
    if (table.contains("decimal_mark"))
      columns.decimal_mark = table.at("decimal_mark") == "," ? Mark::comma : Mark::point;
    for (const auto& column : table.at("columns")) columns.columns.push_back(column_of(column));
    return columns;
  } catch (const nlohmann::json::exception& error) {
    throw InputError(name + ": its table does not describe columns: make the model again");
  } catch (const InputError& error) {
    throw InputError(name + ": " + error.what() + ": make the model again");
  }
}

std::string texts_in_words(const data::TableColumns& columns) {
  constexpr int kMostNamed = 4;
  constexpr std::size_t kMostPrinted = 40;  // bytes of a name
  std::string names;
  int count = 0;
  for (const auto& column : columns.columns) {
    if (column.kind != Kind::text) continue;
    if (++count <= kMostNamed)
      names += fmt::format("{}{}: {}", count > 1 ? ", " : "", base::printable(column.name, kMostPrinted),
                           column.values.size());
  }
  if (count == 0) return "";
  return fmt::format("{} column{} of texts as 0/1 inputs ({}{})", count, count == 1 ? "" : "s", names,
                     count > kMostNamed ? ", ..." : "");
}

}  // namespace outerloop::cli
