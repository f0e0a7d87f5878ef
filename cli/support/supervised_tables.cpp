#include "cli/support/supervised_tables.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>

#include "cli/support/progress.h"
#include "common/base/cores.h"
#include "common/base/error.h"
#include "common/evaluation/evaluator.h"
#include "common/rule/random.h"

namespace outerloop::cli {
namespace {

using evaluation::Interval;
using nlohmann::json;

constexpr std::uint32_t kSeedStream = 0xFFFFFFFDu;

void check_flags(const StudyOptions& study) {
  const StudyOptions defaults;
  const auto refuse = [](const char* flag) {
    throw InputError(
        std::string(flag) +
        ": is for rules without labels; this one is evaluated on tasks of its configuration: leave it out");
  };
  if (!study.base_model.layers.empty()) refuse("--layers");
  if (study.base_model.minibatch != 0) refuse("--minibatch");
  if (study.labels != defaults.labels) refuse("--labels");
}

/// Another seed than the training's.
std::uint64_t seed_of(const EvaluatedRule& rule, const StudyOptions& study) {
  return rule::Random(rule.settings.config.seed(), kSeedStream, 0, rule::Purpose::evaluation)
      .bits(static_cast<std::uint32_t>(study.seed));
}

data::TaskDistribution training_tasks(const EvaluatedRule& rule, std::uint64_t seed) {
  std::vector<data::WeightedDataset> datasets;
  for (const auto& named : rule.settings.training)
    datasets.push_back(
        {data::open_dataset(trusted(named.request, rule), rule.settings.cache_directory()), named.weight});
  auto options = rule.settings.tasks;
  options.first.tasks = 0;  // the tasks of most of a run
  return data::TaskDistribution(options, std::move(datasets), seed);
}

SupervisedTable table_of(const EvaluatedRule& rule, const StudyOptions& study, const std::string& name,
                         std::int64_t size, const data::TaskDistribution& tasks) {
  evaluation::SupervisedOptions options;
  options.horizon = study.base_model.inner_steps > 0 ? study.base_model.inner_steps
                                                     : rule.settings.config.tasks().max_inner_steps();
  options.tasks = study.draws;
  options.threads = study.threads > 0 ? study.threads : base::available_cores();
  Progress progress;
  const auto show = [&](std::int64_t done, std::int64_t total) {
    progress.show(fmt::format("{}: {} of {} base models", name, done, total));
  };
  return {name,
          size,
          options.horizon,
          options.tasks,
          options.tuning_tasks,
          evaluation::evaluate_supervised(rule.under_test, tasks, options, show)};
}

std::string in_words(const Interval& interval) {
  if (!std::isfinite(interval.mean)) return "diverged";
  return fmt::format("{:.3f} ± {:.3f}", interval.mean, interval.half_width);
}

/// Columns on a terminal are characters, not bytes.
std::string padded(const std::string& text, std::size_t width) {
  std::size_t columns = 0;
  for (const char c : text) columns += (static_cast<unsigned char>(c) & 0xc0) != 0x80 ? 1 : 0;
  return text + std::string(width > columns ? width - columns : 0, ' ');
}

const evaluation::SupervisedPoint& point_at(const evaluation::SupervisedCurve& curve, std::int64_t steps) {
  for (const auto& point : curve.points)
    if (point.steps == steps) return point;
  throw Error(fmt::format("no point at {} steps", steps));
}

}  // namespace

std::vector<SupervisedTable> supervised_tables(const EvaluatedRule& rule, const StudyOptions& study) {
  check_flags(study);
  const auto seed = seed_of(rule, study);
  std::vector<SupervisedTable> tables;
  if (study.datasets.empty())
    tables.push_back(table_of(rule, study, "training tasks", 0, training_tasks(rule, seed)));
  else
    for (const auto& request : evaluated_datasets(study, rule)) {
      const auto dataset = data::open_dataset(request, rule.settings.cache_directory());
      say_trained_classes(request, evaluation::split_names(*dataset), rule.settings);
      tables.push_back(table_of(rule, study, data::request_label(request), dataset->size,
                                evaluation::evaluation_tasks(rule.settings.tasks, dataset, seed)));
    }
  return tables;
}

void print(const SupervisedTable& table) {
  constexpr std::size_t kMethod = 12, kRate = 15, kPair = 34;
  fmt::print(
      "\n{}{}: {} new tasks, meta-trained for {} inner steps at most\n"
      "  cross-entropy in nats, then accuracy; 95 % intervals over tasks; learning rates tuned on {} other "
      "tasks\n",
      table.dataset, table.size > 0 ? fmt::format(" at {0}x{0}", table.size) : "", table.tasks, table.horizon,
      table.tuned_on);
  std::string head = padded("  method", kMethod + 2) + padded("learning rate", kRate);
  for (const int times : {1, 4, 10})
    head += padded(fmt::format("{} inner steps ({}x)", times * table.horizon, times), kPair);
  fmt::print("{}\n", head);
  for (const auto& curve : table.curves) {
    std::string line = padded("  " + curve.method, kMethod + 2);
    line += padded(curve.learning_rate > 0.0 ? fmt::format("{:.2g}", curve.learning_rate) : "learned", kRate);
    for (const int times : {1, 4, 10}) {
      const auto& point = point_at(curve, times * table.horizon);
      line += padded(std::isfinite(point.loss.mean) ? in_words(point.loss) + "  " + in_words(point.accuracy)
                                                    : "diverged",
                     kPair);
    }
    fmt::print("{}\n", line.substr(0, line.find_last_not_of(' ') + 1));
  }
  std::fflush(stdout);
}

json to_json(const std::vector<SupervisedTable>& tables) {
  json list = json::array();
  for (const auto& table : tables) {
    json rows = json::array();
    for (const auto& curve : table.curves)
      for (const auto& point : curve.points) {
        rows.push_back({{"method", curve.method},
                        {"steps", point.steps},
                        {"accuracy", point.accuracy.mean},
                        {"ci95", point.accuracy.half_width},
                        {"loss", point.loss.mean},
                        {"loss_ci95", point.loss.half_width}});
        if (curve.learning_rate > 0.0) rows.back()["learning_rate"] = curve.learning_rate;
      }
    list.push_back({{"dataset", table.dataset},
                    {"size", table.size},
                    {"draws", table.tasks},
                    {"inner_steps", table.horizon},
                    {"tuned_on", table.tuned_on},
                    {"rows", rows}});
  }
  return {{"figure", "steps"},
          {"supervised", true},
          {"training_horizon", tables.front().horizon},
          {"tables", list}};
}

}  // namespace outerloop::cli
