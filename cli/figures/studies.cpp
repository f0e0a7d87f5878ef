#include "cli/figures/studies.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "cli/figures/domains.h"
#include "cli/support/few_shot_tables.h"
#include "cli/support/supervised_tables.h"
#include "common/base/error.h"
#include "common/evaluation/explained_variance.h"
#include "common/evaluation/pictures.h"

namespace outerloop::cli {
namespace {

using evaluation::FewShotData;
using evaluation::FewShotOptions;
using nlohmann::json;

// For wide or deep base models: fewer images for batch norm's statistics, which would take most of the time,
// and fewer draws for the selection of the read-out's λ.
constexpr std::int64_t kStatisticsExamples = 5000, kSelectionDraws = 2;
constexpr std::int64_t kComponents = 32, kFilters = 64, kPoints = 1000;

std::vector<std::int64_t> values_or(const FigureRequest& request, std::vector<std::int64_t> own,
                                    std::int64_t least) {
  auto values = request.values.empty() ? std::move(own) : request.values;
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  if (values.front() < least)
    throw InputError(fmt::format("--values: {}, must be {} at least here", values.front(), least));
  return values;
}

/// 1, 2, 5, 10, ... up to and including `last`.
std::vector<std::int64_t> one_two_five(std::int64_t first, std::int64_t last) {
  std::vector<std::int64_t> result;
  for (std::int64_t power = 1; power < last; power *= 10)
    for (const std::int64_t factor : {1, 2, 5})
      if (power * factor >= first && power * factor < last) result.push_back(power * factor);
  result.push_back(last);
  return result;
}

std::vector<data::DatasetRequest> requests_of(const FigureRequest& request, bool several_sizes) {
  auto study = request.study;
  if (!several_sizes && study.sizes.size() > 1)
    throw InputError("--size: this figure takes one size; `figure sizes` takes several");
  return evaluated_datasets(study, request.rule);
}

FewShotData open(const FigureRequest& request, const data::DatasetRequest& dataset) {
  return open_study_data(dataset, request.rule.settings);
}

/// The dataset of a figure with only one: as given, else the first in the rule's configuration.
FewShotData only_dataset(const FigureRequest& request) {
  if (request.study.datasets.size() > 1)
    throw InputError("--dataset: this figure takes one dataset; sizes and embeddings take several");
  return open(request, requests_of(request, false).front());
}

FewShotOptions options_of(const FigureRequest& request, const std::vector<std::string>& methods) {
  auto options = few_shot_options(request.study, request.rule.settings);
  options.methods = methods;
  return options;
}

json table_of(const FigureRequest& request, const FewShotData& data, const FewShotOptions& options,
              const std::string& what) {
  return to_json(evaluate_with_progress(request.rule, data, options, what));
}

/// No progress line: a single draw takes seconds.
void quiet(std::int64_t, std::int64_t) {}

json sizes(const FigureRequest& request) {
  auto several = request.study;
  if (several.sizes.empty()) several.sizes = {14, 28};
  json tables = json::array();
  for (const auto& dataset : evaluated_datasets(several, request.rule)) {
    const auto data = open(request, dataset);
    tables.push_back(table_of(request, data, options_of(request, evaluation::few_shot_methods()),
                              fmt::format("{} at {}", data.name, data.size)));
  }
  return {{"tables", tables}};
}

json steps(const FigureRequest& request) {
  if (request.rule.supervised) {
    if (!request.values.empty()) throw InputError("--values: is for rules without labels: leave it out");
    if (request.study.datasets.size() > 1) throw InputError("--dataset: this figure takes one dataset");
    return to_json(supervised_tables(request.rule, request.study));
  }
  const auto horizon = request.rule.settings.config.tasks().max_inner_steps();
  auto options = options_of(request, {"rule", "untrained", "random", "pixels"});
  options.steps = values_or(request, one_two_five(1, 10 * horizon), 1);
  const auto data = only_dataset(request);
  return {{"training_horizon", horizon}, {"tables", {table_of(request, data, options, data.name)}}};
}

/// The range of what a figure varies in meta-training.
json trained_range(std::int64_t least, std::int64_t most) {
  return {{"min", least}, {"max", most}, {"label", "in meta-training"}};
}

/// A table for each set of hidden layers.
json over_hidden_layers(const FigureRequest& request, const std::vector<std::int64_t>& values,
                        const json& trained,
                        const std::function<std::vector<std::int64_t>(std::int64_t)>& hidden) {
  const auto data = only_dataset(request);
  json tables = json::array();
  for (const auto value : values) {
    auto options = options_of(request, {"rule", "untrained", "random"});
    options.hidden = hidden(value);
    options.statistics_examples = kStatisticsExamples;
    options.selection_draws = kSelectionDraws;
    tables.push_back(table_of(request, data, options, fmt::format("{}, {}", data.name, value)));
    tables.back()["condition_value"] = value;
  }
  return {{"tables", tables}, {"statistics_examples", kStatisticsExamples}, {"trained", trained}};
}

json widths(const FigureRequest& request) {
  return over_hidden_layers(request, values_or(request, {32, 100, 320, 1000, 3200, 10000}, 1),
                            trained_range(request.rule.settings.config.tasks().min_width(),
                                          request.rule.settings.config.tasks().max_width()),
                            [](std::int64_t units) { return std::vector<std::int64_t>{units}; });
}

json depths(const FigureRequest& request) {
  const std::int64_t units = completed(request.study.base_model, request.rule.settings).layers.front();
  return over_hidden_layers(request, values_or(request, {1, 2, 3, 5, 7, 9, 11}, 1),
                            trained_range(request.rule.settings.config.tasks().min_hidden_layers(),
                                          request.rule.settings.config.tasks().max_hidden_layers()),
                            [units](std::int64_t layers) {
                              return std::vector<std::int64_t>(static_cast<std::size_t>(layers), units);
                            });
}

json nonlinearities(const FigureRequest& request) {
  using rule::Nonlinearity;
  if (request.rule.settings.rule.script)
    throw InputError("figure nonlinearities: " + request.rule.path +
                     " is a module, which has its own non-linearity; take another figure");
  const std::vector<std::pair<const char*, Nonlinearity>> kinds = {
      {"ReLU", Nonlinearity::relu},   {"leaky ReLU", Nonlinearity::leaky_relu},
      {"Swish", Nonlinearity::swish}, {"ELU", Nonlinearity::elu},
      {"tanh", Nonlinearity::tanh},   {"step", Nonlinearity::step}};
  const auto data = only_dataset(request);
  json tables = json::array();
  for (const auto& kind : kinds) {
    auto options = options_of(request, {"rule", "untrained", "random"});
    options.nonlinearity = kind.second;
    tables.push_back(table_of(request, data, options, fmt::format("{}, {}", data.name, kind.first)));
    tables.back()["condition"] = kind.first;
  }
  return {{"tables", tables}};
}

json permutation(const FigureRequest& request) {
  const auto data = only_dataset(request);
  json tables = json::array();
  for (const bool permute : {true, false}) {
    auto options = options_of(request, {"rule", "untrained", "random"});
    options.permute = permute;
    const std::string name = permute ? "permuted" : "unpermuted";
    tables.push_back(table_of(request, data, options, data.name + ", " + name));
    tables.back()["condition"] = name;
  }
  return {{"tables", tables}};
}

json text(const FigureRequest& request) {
  if (request.study.datasets.empty())
    throw InputError(
        "figure text: give --dataset imdb:FOLDER, reviews:FILE or texts[:FOLDER]; see docs/data.md");
  const auto data = only_dataset(request);
  if (data.size > 0) throw InputError("figure text: " + data.name + " holds images; give a dataset of texts");
  auto table = table_of(request, data,
                        options_of(request, {"rule", "untrained", "random", "pixels", "pca", "supervised"}),
                        data.name);
  table["condition"] = data.name;
  return {{"tables", {table}}};
}

json vae_decline(const FigureRequest& request) {
  auto options = options_of(request, {"random", "vae"});
  options.steps = values_or(request, one_two_five(100, 20000), 1);
  const auto data = only_dataset(request);
  return {{"learning_rate", options.vae_learning_rate},
          {"tables", {table_of(request, data, options, data.name)}}};
}

json filters(const FigureRequest& request) {
  const auto data = only_dataset(request);
  if (data.size == 0) throw InputError("figure filters: " + data.name + " holds vectors, not images");
  const auto options = options_of(request, {"random"});
  const auto steps = values_or(request, {0, options.inner_steps}, 0);
  json panels = json::array();
  const auto add = [&](const evaluation::RuleUnderTest& rule, const char* by) {
    for (const auto& view : evaluation::first_layer_filters(rule, data, options, steps, kFilters)) {
      if (view.step == 0 && !panels.empty()) continue;  // all start from the same φ
      panels.push_back(
          {{"title", view.step == 0 ? "before training" : fmt::format("{}, {} steps", by, view.step)},
           {"filters", view.units}});
    }
  };
  const auto& learned = request.rule.under_test;
  add(learned, "learned rule");
  add({learned.make_engine, learned.untrained, learned.untrained}, "untrained rule");
  return {{"dataset", data.name}, {"size", data.size}, {"panels", panels}};
}

json embedding_of(const FigureRequest& request, const FewShotData& data) {
  auto options = options_of(request, {"random"});
  options.labels_per_class = 1;  // no label is used
  options.test_examples = kPoints;
  const auto last = options.inner_steps;
  const auto steps = values_or(request, {0, std::max<std::int64_t>(1, last / 10), last, 10 * last}, 0);
  json views = json::array();
  for (const auto& view : evaluation::embeddings(request.rule.under_test, data, options, steps)) {
    json points = json::array();
    for (std::int64_t i = 0; i < view.points.rows; ++i)
      points.push_back(std::vector<float>(view.points.row(i), view.points.row(i) + view.points.columns));
    views.push_back({{"steps", view.step}, {"share_of_variance", view.share}, {"points", points}});
  }
  return {{"dataset", data.name},
          {"labels", evaluation::embedded_labels(data, options)},
          {"classes", data.class_names},
          {"views", views}};
}

json embeddings(const FigureRequest& request) {
  json sets = json::array();
  if (request.study.datasets.empty()) {
    data::DatasetRequest moons;
    moons.name = "two_moons";
    moons.size = request.rule.settings.config.tasks().size();  // points have none
    moons.scaling = request.rule.settings.scaling;
    sets.push_back(embedding_of(request, open(request, moons)));
  }
  auto datasets = requests_of(request, false);
  if (request.study.datasets.empty()) datasets.resize(1);
  for (const auto& dataset : datasets) sets.push_back(embedding_of(request, open(request, dataset)));
  return {{"embeddings", sets}};
}

json explained_variance(const FigureRequest& request) {
  const auto data = only_dataset(request);
  const auto options = options_of(request, {"rule", "untrained", "random", "pixels"});
  json curves = json::array();
  for (const auto& curve :
       evaluation::explained_variance(request.rule.under_test, data, options, kComponents, quiet)) {
    std::vector<double> mean, half_width;
    for (const auto& interval : curve.cumulative) {
      mean.push_back(interval.mean);
      half_width.push_back(interval.half_width);
    }
    curves.push_back({{"method", curve.method}, {"cumulative", mean}, {"ci95", half_width}});
  }
  return {{"dataset", data.name},
          {"size", data.size},
          {"inner_steps", options.inner_steps},
          {"test_examples", std::min(options.test_examples, data.test.rows)},
          {"curves", curves}};
}

}  // namespace

const std::vector<FigureStudy>& figure_studies() {
  static const std::vector<FigureStudy> studies = {
      {"sizes", "few-shot accuracy at 14 x 14 and 28 x 28 beside all baselines", 5, sizes},
      {"steps", "accuracy over inner steps, up to 10 times the longest of meta-training", 10, steps, false,
       true},
      {"widths", "accuracy over the width of one hidden layer, up to 10,000 units", 3, widths},
      {"depths", "accuracy over 1 to 11 hidden layers, as wide as the first by --layers", 10, depths},
      {"nonlinearities", "accuracy by the base model's non-linearity", 10, nonlinearities},
      {"permutation", "accuracy on permuted and unpermuted inputs", 20, permutation},
      {"text", "accuracy on texts as bags of words; needs --dataset", 10, text},
      {"filters", "first-layer filters before and after training, of one draw", 1, filters},
      {"embeddings", "examples in three principal components over inner steps, of one draw", 1, embeddings},
      {"explained-variance", "variance that the first principal components hold", 10, explained_variance},
      {"vae-decline", "a VAE's accuracy and loss over its steps of training", 5, vae_decline},
      {"domains", "accuracy over meta-training; takes run directories with snapshots, and rules", 5, domains,
       true}};
  return studies;
}

const FigureStudy& figure_study(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& study : figure_studies()) {
    if (study.name == name) return study;
    names.emplace_back(study.name);
  }
  throw InputError(
      fmt::format("figure: there is no figure '{}'; there are {}", name, fmt::join(names, ", ")));
}

}  // namespace outerloop::cli
