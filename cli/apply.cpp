#include "cli/apply.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <utility>

#include "cli/support/evaluated_rule.h"
#include "cli/support/rule_flags.h"
#include "common/base/error.h"
#include "common/data/npy.h"
#include "common/data/scaling.h"
#include "common/evaluation/apply.h"
#include "common/store/atomic_file.h"

namespace outerloop::cli {
namespace {

constexpr std::int64_t kMostInputs = 65536;

struct ApplyOptions {
  std::string rule, input, output;
  BaseModelOptions base_model;
  std::uint64_t seed = 0;
  std::string scale = "auto";     ///< auto | none | a name of data::ScalingKind
  std::string theta = "average";  ///< average | last
};

void check_shape(const data::Array& array, const std::string& name) {
  if (array.shape.size() < 2) throw InputError(name + ": has one axis; give an array [examples, inputs]");
  const std::int64_t rows = array.shape.front();
  const std::int64_t columns = data::count_elements(array.shape, name) / rows;
  if (rows < 2 || columns > kMostInputs)
    throw InputError(fmt::format("{}: {} examples of {} inputs; two examples at least, and at most {} inputs",
                                 name, rows, columns, kMostInputs));
}

/// Inputs, and in words how they were scaled: as those that the rule was trained with, unless `scale` says
/// otherwise.
struct Inputs {
  rule::Matrix x;
  std::string how;
};

Inputs inputs_of(data::Array array, const std::string& scale, data::ScalingKind of_rule,
                 const std::string& name) {
  const bool images = array.shape.size() > 2;
  if (scale == "none") return {evaluation::unscaled_inputs(array, name), "as they are"};
  if (images && (scale == "auto" || scale == "array"))
    return {evaluation::scaled_images(array, name), "scaled together"};
  const auto kind = scale == "auto" ? of_rule : data::scaling_of_name(scale);
  return {evaluation::scaled_vectors(std::move(array), kind, name),
          std::string("scaled by ") + data::scaling_name(kind)};
}

int apply(const ApplyOptions& options) {
  // 1. The rule and the array.
  const auto rule = read_evaluated_rule(options.rule, options.theta == "average");
  auto array = data::read_npy(options.input);
  check_shape(array, options.input);
  const auto [x, scaled] = inputs_of(std::move(array), options.scale, rule.settings.scaling, options.input);

  // 2. A base model trained on it, and its features.
  evaluation::ApplyOptions how;
  const auto base_model = completed(options.base_model, rule.settings);
  how.hidden = base_model.layers;
  how.inner_steps = base_model.inner_steps;
  how.minibatch = base_model.minibatch;
  how.seed = options.seed;
  const auto features = evaluation::apply_rule(*rule.under_test.make_engine(), rule.under_test.theta, x, how);

  // 3. Written.
  store::write_file_atomically(options.output, data::npy_of(features));
  fmt::print("{}: {} examples of {} inputs, {}\n", options.input, x.rows, x.columns, scaled);
  fmt::print("{}: {} features of each, after {} inner steps of {} (update {})\n", options.output,
             features.columns, how.inner_steps, options.rule, rule.file.update);
  std::fflush(stdout);
  return 0;
}

}  // namespace

Command add_apply(CLI::App& app) {
  const auto options = std::make_shared<ApplyOptions>();
  auto* command = app.add_subcommand(
      "apply", "Trains a base model by a rule on your own array, without labels, and writes its features.");
  add_rule(*command, options->rule);
  command->add_option("--input", options->input, "NPY array [examples, inputs]; more axes count as inputs")
      ->required();
  command->add_option("--output", options->output, "NPY array [examples, features] of float32")->required();
  add_base_model(*command, options->base_model);
  command->add_option("--seed", options->seed, "of initialisation and minibatches")->capture_default_str();
  command
      ->add_option(
          "--scale", options->scale,
          "how inputs come to lie in 0..1: quantiles, ranks or columns (each column by itself), array (all "
          "together), none; auto: as the rule was trained (inputs.scaling), array where there are more axes")
      ->check(CLI::IsMember({"auto", "quantiles", "ranks", "columns", "array", "none"}))
      ->capture_default_str();
  add_theta(*command, options->theta);
  return {command, [options] { return apply(*options); }};
}

}  // namespace outerloop::cli
