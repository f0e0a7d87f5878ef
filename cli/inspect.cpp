#include "cli/inspect.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/compare.h"
#include "cli/inspect_model.h"
#include "cli/support/output_files.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "common/store/files.h"
#include "common/store/metrics.h"

namespace outerloop::cli {
namespace {

using nlohmann::json;
using rule::TensorSpec;
using store::Contents;

constexpr std::size_t kMostStreams = 24;  // rows of the streams table, about
constexpr std::size_t kSparkWidth = 60;
constexpr std::int64_t kMostValues = 8;  // of a tensor printed in full

double norm(const std::vector<double>& values) {
  return summarize(values, 0, static_cast<std::int64_t>(values.size())).norm;
}

/// Columns on a terminal: the number of bytes that begin a UTF-8 character.
std::size_t columns(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

/// A text from a file, made printable.
std::string padded(const std::string& from_file, std::size_t width) {
  const std::string text = base::printable(from_file);
  return text + std::string(width > columns(text) ? width - columns(text) : 0, ' ');
}

void row(const std::string& name, const std::string& value) {
  fmt::print("  {} {}\n", padded(name, 15), base::printable(value));
}

std::size_t name_width(const std::vector<TensorSpec>& tensors) {
  std::size_t width = 10;
  for (const auto& tensor : tensors) width = std::max(width, columns(tensor.name));
  return width;
}

void print_head(const std::string& path, const Contents& contents) {
  const auto& rule = contents.checkpoint.rule;
  fmt::print("{}\n", path);
  row("kind", fmt::format("{}, format {}, all checksums right", store::kind_name(contents.kind),
                          contents.format_version));
  row("rule", rule.rule);
  row("update", fmt::format("{}", rule.update));
  row("created", rule.created.empty() ? "unknown" : rule.created);
  row("git revision", rule.git_revision.empty() ? "unknown" : rule.git_revision);
  row("engine", rule.engine.empty() ? "unknown" : rule.engine);
  row("instruction set", rule.instruction_set.empty() ? "unknown" : rule.instruction_set);
  if (std::isfinite(rule.validation_meta_objective))
    row("validation",
        fmt::format("meta-objective {:.4f}: the best of its run", rule.validation_meta_objective));
  row("parameters", fmt::format("{} in {} tensors{}", rule.layout.size(), rule.layout.tensors().size(),
                                rule.theta_average.empty() ? "" : ", with their running average"));
  row("theta_sha256", contents.theta_sha256);
  if (rule.script)
    row("module", fmt::format("TorchScript, {} bytes, not run; SHA-256 {}", rule.script->bytes.size(),
                              store::module_sha256(*rule.script)));
}

std::vector<double> values_of(const store::RuleFile& rule, const TensorSpec& tensor) {
  const auto begin = rule.theta.begin() + tensor.offset;
  return {begin, begin + tensor.size()};
}

void print_theta(const store::RuleFile& rule) {
  const auto& tensors = rule.layout.tensors();
  const std::size_t width = name_width(tensors);
  fmt::print("\n  {} {:<16} {:>12}  {}  values, of {} at most\n", padded("θ", width), "shape", "norm",
             "finite", kMostValues);
  for (const auto& tensor : tensors) {
    const auto summary = summarize(rule.theta, tensor.offset, tensor.size());
    fmt::print("  {} {:<16} {:>12.6g}  {}", padded(tensor.name, width), shape_text(tensor.shape),
               summary.norm, summary.finite ? "yes" : "NO");
    if (tensor.size() <= kMostValues) fmt::print("     {:.6g}", fmt::join(values_of(rule, tensor), " "));
    fmt::print("\n");
  }
}

void print_history(const store::Checkpoint& checkpoint) {
  if (checkpoint.history.empty() || checkpoint.history.begin()->second.empty()) return;
  fmt::print("\n  history: {} updates, {:.1f} s of meta-training; last values\n",
             checkpoint.history.begin()->second.size(), checkpoint.seconds);
  for (const auto& [name, column] : checkpoint.history)
    fmt::print("    {} {:.6g}\n", padded(name, 24), column.back());
  const auto curve = checkpoint.history.find("meta_objective");
  if (curve == checkpoint.history.end()) return;
  const auto line = sparkline(curve->second, kSparkWidth);
  if (!line.empty()) fmt::print("    {} {}\n", padded("meta_objective's course", 24), line);
}

void print_training(const store::Checkpoint& checkpoint) {
  fmt::print("\n  Adam: step {}, norm of m {:.6g}, norm of v {:.6g}\n", checkpoint.adam_step,
             norm(checkpoint.adam_m), norm(checkpoint.adam_v));
  for (const auto& [name, count] : checkpoint.counters) fmt::print("    {} {}\n", padded(name, 24), count);
  if (checkpoint.streams.empty()) return;
  fmt::print("\n  {:>6} {:>6} {:>10} {:>12}  {:<18} {}\n", "stream", "task", "step", "truncation", "dataset",
             "units");
  const std::size_t lanes = std::max<std::size_t>(1, checkpoint.streams.front().lanes.size());
  const std::size_t shown = std::min((kMostStreams + lanes - 1) / lanes, checkpoint.streams.size());
  for (std::size_t i = 0; i < shown; ++i) {
    const auto& stream = checkpoint.streams[i];
    if (stream.lanes.empty())
      fmt::print("  {:>6} {:>6} {:>10} {:>12}  {} not begun\n", stream.stream, stream.task, stream.step,
                 stream.truncation, padded("", 18));
    for (const auto& lane : stream.lanes)
      fmt::print("  {:>6} {:>6} {:>10} {:>12}  {} {}\n", stream.stream, lane.task, lane.step, lane.truncation,
                 padded(lane.dataset, 18), fmt::join(lane.units, "-"));
  }
  if (shown < checkpoint.streams.size()) fmt::print("  ... and {} more\n", checkpoint.streams.size() - shown);
}

void print_differences(const std::vector<Difference>& differences) {
  if (all_equal(differences)) {
    fmt::print("\nθ is equal, bit for bit.\n");
    return;
  }
  std::size_t width = 10;
  for (const auto& difference : differences) width = std::max(width, columns(difference.name));
  fmt::print("\nθ differs:\n  {} {:>20} {:>20}\n", padded("θ", width), "relative difference",
             "largest difference");
  for (const auto& difference : differences) {
    if (difference.where == "both")
      fmt::print("  {} {:>20.3g} {:>20.3g}\n", padded(difference.name, width), difference.relative,
                 difference.largest);
    else
      fmt::print("  {} {}\n", padded(difference.name, width), difference.where);
  }
}

json to_json(const std::string& path, const Contents& contents) {
  const auto& rule = contents.checkpoint.rule;
  json theta = json::array();
  for (const auto& tensor : rule.layout.tensors()) {
    const auto summary = summarize(rule.theta, tensor.offset, tensor.size());
    theta.push_back(
        {{"name", tensor.name}, {"shape", tensor.shape}, {"norm", summary.norm}, {"finite", summary.finite}});
    if (tensor.size() <= kMostValues) theta.back()["values"] = values_of(rule, tensor);
  }
  json result = {{"file", path},
                 {"kind", store::kind_name(contents.kind)},
                 {"format_version", contents.format_version},
                 {"update", rule.update},
                 {"rule", rule.rule},
                 {"created", rule.created},
                 {"git_revision", rule.git_revision},
                 {"engine", rule.engine},
                 {"instruction_set", rule.instruction_set},
                 {"theta_sha256", contents.theta_sha256},
                 {"parameters", rule.layout.size()},
                 {"theta", theta},
                 {"has_average", !rule.theta_average.empty()},
                 {"checksum_ok", true}};
  if (rule.script) {
    result["module_bytes"] = rule.script->bytes.size();
    result["module_sha256"] = store::module_sha256(*rule.script);
  }
  if (std::isfinite(rule.validation_meta_objective))
    result["validation_meta_objective"] = rule.validation_meta_objective;
  if (contents.kind != store::Kind::checkpoint) return result;
  const auto& checkpoint = contents.checkpoint;
  result["adam_step"] = checkpoint.adam_step;
  result["seconds"] = checkpoint.seconds;
  result["streams"] = checkpoint.streams.size();
  result["counters"] = checkpoint.counters;
  result["history"] = json::object();
  for (const auto& [name, column] : checkpoint.history)
    if (!column.empty()) result["history"][name] = column.back();
  return result;
}

json to_json(const std::vector<Difference>& differences) {
  json list = json::array();
  for (const auto& difference : differences)
    list.push_back({{"name", difference.name},
                    {"where", difference.where},
                    {"equal", difference.equal},
                    {"relative_difference", difference.relative},
                    {"largest_difference", difference.largest}});
  return list;
}

void write_json(const std::string& path, const json& result) {
  if (!path.empty())
    store::write_file_atomically(path, result.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

/// Also writes an exception of `look` to the JSON file.
template <class Look>
auto looked_at(const std::string& file, const std::string& json_path, const Look& look) {
  try {
    return look(file);
  } catch (const InputError& error) {
    write_json(json_path, {{"file", file}, {"checksum_ok", false}, {"error", error.what()}});
    throw;
  }
}

Contents read(const std::string& file, const std::string& json_path) {
  return looked_at(file, json_path, store::read_contents);
}

store::Kind kind_of(const std::string& file, const std::string& json_path) {
  return looked_at(file, json_path, store::read_kind);
}

void print(const std::string& path, const Contents& contents) {
  print_head(path, contents);
  print_theta(contents.checkpoint.rule);
  if (contents.kind == store::Kind::checkpoint) {
    print_history(contents.checkpoint);
    print_training(contents.checkpoint);
  }
}

}  // namespace

std::string sparkline(const std::vector<double>& values, std::size_t width) {
  const std::size_t parts = std::min(width, values.size());
  std::vector<double> means;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (std::size_t part = 0; part < parts; ++part) {
    double sum = 0.0;
    std::size_t count = 0;
    for (std::size_t i = part * values.size() / parts; i < (part + 1) * values.size() / parts; ++i) {
      if (!std::isfinite(values[i])) continue;
      sum += values[i];
      ++count;
    }
    means.push_back(count > 0 ? sum / static_cast<double>(count) : std::numeric_limits<double>::quiet_NaN());
    if (count == 0) continue;
    low = std::min(low, means.back());
    high = std::max(high, means.back());
  }
  const char* const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  std::string line;
  for (const double mean : means) {
    const double height = high > low ? (mean - low) / (high - low) : 0.0;
    line += std::isnan(mean) ? " " : blocks[std::clamp(static_cast<int>(height * 8.0), 0, 7)];
  }
  return line;
}

int inspect(const std::vector<std::string>& files, const std::string& json_path) {
  if (files.empty() || files.size() > 2)
    throw InputError("inspect: " + std::to_string(files.size()) +
                     " files given; it takes one, or two to compare");
  if (files.size() == 1 && kind_of(files[0], json_path) == store::Kind::model) {
    inspect_model(files[0], json_path);
    return 0;
  }
  const Contents first = read(files[0], json_path);
  std::optional<Contents> second;
  if (files.size() == 2) second = read(files[1], json_path);

  print(files[0], first);
  json result = to_json(files[0], first);
  bool equal = true;
  if (second) {
    fmt::print("\n");
    print_head(files[1], *second);
    const auto differences = compare(first.checkpoint.rule, second->checkpoint.rule);
    equal = all_equal(differences);
    print_differences(differences);
    result["other"] = to_json(files[1], *second);
    result["differences"] = to_json(differences);
    result["theta_equal"] = equal;
  }
  std::fflush(stdout);
  write_json(json_path, result);
  return equal ? 0 : 1;
}

int inspect_config(const std::vector<std::string>& files) {
  if (files.size() != 1)
    throw InputError("inspect --config: " + std::to_string(files.size()) + " files given; it takes one");
  const std::string config = store::read_contents(files[0]).checkpoint.rule.config;
  if (config.empty()) throw InputError(files[0] + ": holds no configuration; its θ was made without one");
  fmt::print("{}", config);
  std::fflush(stdout);
  return 0;
}

Command add_inspect(CLI::App& app) {
  struct Options {
    std::vector<std::string> files;
    bool config = false;
    std::string json;
  };
  const auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("inspect", "Shows a file and verifies its checksums, or compares two.");
  command->add_option("FILE", options->files, "one or two HDF5 files")->required()->expected(1, 2);
  auto* json = command->add_option("--json", options->json, "also write the output to this file as JSON");
  command
      ->add_flag("--config", options->config,
                 "print only the configuration that made the file, for use by train")
      ->excludes(json);
  return {command, [options] {
            require_distinct(options->files, {options->json});
            return options->config ? inspect_config(options->files) : inspect(options->files, options->json);
          }};
}

}  // namespace outerloop::cli
