#include "cli/inspect_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/support/table_json.h"
#include "common/base/text.h"
#include "common/store/atomic_file.h"
#include "common/store/files.h"
#include "common/store/model_file.h"

namespace outerloop::cli {
namespace {

using nlohmann::ordered_json;

std::string columns_in_words(const store::ModelFile& file, const std::string& path) {
  if (file.table.empty()) return "of an array";
  const auto table = table_of_json(file.table, path);
  std::string left_out;
  int numbers = 0;
  for (const auto& column : table.columns) {
    if (column.kind == data::TableColumn::Kind::number) ++numbers;
    if (column.kind == data::TableColumn::Kind::left_out)
      left_out += (left_out.empty() ? "" : ", ") + column.name;
  }
  std::string words = fmt::format("{} columns of numbers", numbers);
  if (const auto texts = texts_in_words(table); !texts.empty()) words += "; " + texts;
  if (!left_out.empty()) words += "; left out: " + left_out;
  return words + (table.replace_missing ? "; missing values become means" : "");
}

std::string scaling_in_words(const rule::InputScaling& scaling) {
  if (scaling.kind != "linear") return scaling.kind;
  return fmt::format("linear, {} to {} becomes 0 to 1", scaling.numbers.at(0), scaling.numbers.at(1));
}

}  // namespace

void inspect_model(const std::string& path, const std::string& json_path) {
  const auto file = store::read_model(path);
  const auto& model = file.model;
  const auto row = [](const char* name, const std::string& value) {
    fmt::print("  {:<15} {}\n", name, base::printable(value));
  };
  fmt::print("{}\n", path);
  row("kind", "model, all checksums right");
  row("rule", fmt::format("{}, update {}, {} θ", model.rule.name, file.update, file.theta));
  row("theta_sha256", file.theta_sha256);
  if (model.rule.script)
    row("module", fmt::format("TorchScript, {} bytes, not run; SHA-256 {}", model.rule.script->bytes.size(),
                              store::module_sha256(*model.rule.script)));
  row("created", file.created);
  row("git revision", file.git_revision);
  row("units", model.architecture.description());
  row("trained on", fmt::format("{} examples, {} inner steps of {}, seed {}", file.examples, file.inner_steps,
                                file.minibatch, file.seed));
  row("columns", columns_in_words(file, path));
  row("scaling", scaling_in_words(model.scaling));
  std::fflush(stdout);
  if (json_path.empty()) return;
  ordered_json json = {{"file", path},
                       {"kind", "model"},
                       {"rule", model.rule.name},
                       {"update", file.update},
                       {"theta", file.theta},
                       {"theta_sha256", file.theta_sha256},
                       {"created", file.created},
                       {"git_revision", file.git_revision},
                       {"units", model.architecture.units},
                       {"parameters", model.phi.size()},
                       {"examples", file.examples},
                       {"inner_steps", file.inner_steps},
                       {"minibatch", file.minibatch},
                       {"seed", file.seed},
                       {"scaling", model.scaling.kind},
                       {"checksum_ok", true}};
  if (!file.table.empty()) json["table"] = ordered_json::parse(file.table);
  store::write_file_atomically(json_path, json.dump(2) + "\n");
}

}  // namespace outerloop::cli
