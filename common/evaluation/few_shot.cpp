#include "common/evaluation/few_shot.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "common/base/error.h"
#include "common/evaluation/draw_pool.h"
#include "common/evaluation/few_shot_rows.h"
#include "common/evaluation/interval.h"

namespace outerloop::evaluation {
namespace {

/// Key of an accuracy: a method's setting, a read-out, and its strength.
using ByStrength = std::vector<double>;
using ByReadout = std::vector<ByStrength>;
/// Settings that are not computed have no read-outs.
struct SettingResult {
  ByReadout accuracy;
  double loss = std::numeric_limits<double>::quiet_NaN();
};
using BySetting = std::vector<SettingResult>;
using DrawResult = std::vector<BySetting>;  ///< [methods]

/// Indices of the settings to compute, for each method.
using Wanted = std::vector<std::vector<std::size_t>>;

struct Choice {
  std::size_t setting = 0;
  std::size_t strength = 0;
};

/// Of one draw by one method.
BySetting judge(const FewShotData& data, const FewShotOptions& options, const FewShotPreparation& prepared,
                const Draw& draw, const std::vector<DrawFeatures>& features,
                const std::vector<std::size_t>& wanted, std::size_t settings) {
  OUTERLOOP_CHECK_EQ(features.size(), wanted.size());
  BySetting by_setting(settings);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    auto& to = by_setting[wanted[i]];
    to.loss = features[i].loss;
    for (const auto readout : options.readouts)
      to.accuracy.push_back(baselines::accuracies(readout, {features[i].labelled, draw.labels},
                                                  {features[i].test, prepared.test_labels}, data.classes));
  }
  return by_setting;
}

/// Draws first .. first + count - 1 on all threads.
std::vector<DrawResult> compute(DrawPool& pool, const FewShotData& data, const FewShotOptions& options,
                                std::int64_t first, std::int64_t count, const Wanted& wanted) {
  std::vector<DrawResult> results(static_cast<std::size_t>(count));
  pool.for_each_block(first, count, [&](const MethodSet& set, const std::vector<Draw>& draws) {
    for (std::size_t m = 0; m < set.methods().size(); ++m) {
      const auto& method = set.methods()[m];
      method.features(draws, wanted[m], [&](std::size_t d, const std::vector<DrawFeatures>& features) {
        results[draws[d].number - static_cast<std::size_t>(first)].push_back(
            judge(data, options, pool.prepared(), draws[d], features, wanted[m], method.settings.size()));
      });
    }
  });
  return results;
}

/// The best on average over the draws of selection among settings first .. last - 1 and all strengths; the
/// first among equals.
Choice best_choice(const std::vector<DrawResult>& draws, std::size_t m, std::size_t r, std::size_t first,
                   std::size_t last) {
  Choice choice;
  double best = -1.0;
  for (std::size_t s = first; s < last; ++s)
    for (std::size_t i = 0; i < draws.front()[m][s].accuracy[r].size(); ++i) {
      double sum = 0.0;
      for (const auto& draw : draws) sum += draw[m][s].accuracy[r][i];
      if (sum <= best) continue;
      best = sum;
      choice = {s, i};
    }
  return choice;
}

/// The reported accuracies: [methods][readouts][rows].
using Choices = std::vector<std::vector<std::vector<Choice>>>;

/// One row, the best setting; for methods that report every number of steps, a row each with the best
/// strength.
Choices choose(const std::vector<DrawResult>& draws, const std::vector<Method>& methods,
               std::size_t readouts) {
  Choices choices;
  for (std::size_t m = 0; m < methods.size(); ++m) {
    choices.emplace_back(readouts);
    const std::size_t settings = methods[m].settings.size();
    for (std::size_t r = 0; r < readouts; ++r) {
      if (methods[m].steps.empty()) {
        choices[m][r].push_back(best_choice(draws, m, r, 0, settings));
        continue;
      }
      for (std::size_t s = 0; s < settings; ++s) choices[m][r].push_back(best_choice(draws, m, r, s, s + 1));
    }
  }
  return choices;
}

std::vector<double> accuracies_of(const std::vector<DrawResult>& draws, std::size_t m, std::size_t r,
                                  const Choice& choice) {
  std::vector<double> values;
  for (const auto& draw : draws) values.push_back(draw[m][choice.setting].accuracy[r][choice.strength]);
  return values;
}

/// `random`, `rule`: accuracies of their rows by the same read-out; `rule` may be empty.
FewShotRow row_of(const std::vector<DrawResult>& draws, const Method& method, std::size_t m, std::size_t r,
                  const Choice& choice, const std::vector<double>& random, const std::vector<double>& rule) {
  FewShotRow row;
  row.method = method.name;
  row.setting = method.settings[choice.setting];
  if (!method.steps.empty()) row.steps = method.steps[choice.setting];
  row.by_draw = accuracies_of(draws, m, r, choice);
  compare(random, rule, row);
  std::vector<double> losses;
  for (const auto& draw : draws) losses.push_back(draw[m][choice.setting].loss);
  const Interval loss = interval(losses);
  row.loss = loss.mean;
  row.loss_ci95 = loss.half_width;
  return row;
}

std::vector<FewShotRow> tabulate(const std::vector<DrawResult>& draws, const Choices& choices,
                                 const std::vector<Method>& methods, const FewShotOptions& options) {
  const auto place = [&](const char* name) {
    return static_cast<std::size_t>(std::find(options.methods.begin(), options.methods.end(), name) -
                                    options.methods.begin());
  };
  const std::size_t random = place("random"), rule = place("rule");
  const bool one_rule = rule < methods.size() && methods[rule].steps.empty();
  std::vector<FewShotRow> rows;
  for (std::size_t m = 0; m < methods.size(); ++m)
    for (std::size_t r = 0; r < options.readouts.size(); ++r) {
      const auto of_random = accuracies_of(draws, random, r, choices[random][r].front());
      std::vector<double> of_rule;
      if (one_rule) of_rule = accuracies_of(draws, rule, r, choices[rule][r].front());
      for (const auto& choice : choices[m][r]) {
        rows.push_back(row_of(draws, methods[m], m, r, choice, of_random, of_rule));
        rows.back().readout = baselines::readout_name(options.readouts[r]);
        rows.back().lambda = baselines::strengths(options.readouts[r])[choice.strength];
      }
    }
  return rows;
}

void check(const FewShotData& data, const FewShotOptions& options) {
  const auto& methods = options.methods;
  if (std::find(methods.begin(), methods.end(), "random") == methods.end())
    throw InputError("evaluate: `random` must be among the methods, because differences are relative to it");
  if (options.readouts.empty() || options.selection_draws < 1 || options.draws < 1)
    throw InputError("evaluate: at least one read-out, one draw and one selection draw are needed");
  if (options.inner_steps < 1)
    throw InputError("evaluate: " + std::to_string(options.inner_steps) +
                     " inner steps: at least 1 is needed");
  for (std::size_t i = 0; i < options.steps.size(); ++i)
    if (options.steps[i] <= (i > 0 ? options.steps[i - 1] : 0))
      throw InputError("evaluate: numbers of steps must rise, from 1 on; " +
                       std::to_string(options.steps[i]) + " is number " + std::to_string(i + 1));
  if (data.classes < 2 || data.test.rows < 1)
    throw InputError("evaluate: " + data.name + " has " + std::to_string(data.classes) + " classes and " +
                     std::to_string(data.test.rows) + " test examples; two classes and one example at least");
  std::vector<std::int64_t> count(static_cast<std::size_t>(data.classes));
  for (const auto label : data.train_labels) ++count[static_cast<std::size_t>(label)];
  const auto fewest = *std::min_element(count.begin(), count.end());
  if (fewest < options.labels_per_class)
    throw InputError("evaluate: a class of " + data.name + " has " + std::to_string(fewest) +
                     " training examples, fewer than --labels " + std::to_string(options.labels_per_class));
}

FewShotTable evaluate_one(const RuleUnderTest& rule, const FewShotData& data, const FewShotOptions& options,
                          const DrawProgress& progress) {
  check(data, options);
  DrawPool pool(rule, data, options, options.selection_draws + options.draws, progress);
  const auto& methods = pool.methods().methods();

  // 1. Every setting on the selection draws.
  Wanted wanted;
  for (const auto& method : methods) {
    wanted.emplace_back(method.settings.size());
    std::iota(wanted.back().begin(), wanted.back().end(), std::size_t{0});
  }
  const auto choices = choose(compute(pool, data, options, 0, options.selection_draws, wanted), methods,
                              options.readouts.size());

  // 2. The selected settings on the reported draws.
  for (std::size_t m = 0; m < wanted.size(); ++m) {
    std::set<std::size_t> settings;
    for (const auto& of_readout : choices[m])
      for (const auto& choice : of_readout) settings.insert(choice.setting);
    wanted[m].assign(settings.begin(), settings.end());
  }
  const auto draws = compute(pool, data, options, options.selection_draws, options.draws, wanted);
  return {data.name,
          data.size,
          options.labels_per_class,
          pool.methods().draws().architecture().description(),
          options.inner_steps,
          options.minibatch,
          options.draws,
          data.train.rows,
          pool.prepared().test.rows,
          tabulate(draws, choices, methods, options)};
}

}  // namespace

const std::vector<std::string>& few_shot_methods() {
  static const std::vector<std::string> methods = {
      "rule", "untrained", "random", "pixels", "pca", "kmeans", "vae", "masked_contrastive", "supervised"};
  return methods;
}

FewShotTable evaluate_few_shot(const RuleUnderTest& rule, const FewShotData& data,
                               const FewShotOptions& options, const DrawProgress& progress) {
  const auto count = static_cast<std::int64_t>(1 + data.others.size());
  std::vector<FewShotTable> tables;
  const auto add = [&](const FewShotData& one) {
    const auto before = static_cast<std::int64_t>(tables.size());
    const auto part = [&](std::int64_t done, std::int64_t total) {
      progress(before * total + done, count * total);
    };
    tables.push_back(evaluate_one(rule, one, options, part));
  };
  add(data);
  for (const FewShotData& other : data.others) add(other);
  return count == 1 ? tables.front() : mean_table(tables);
}

}  // namespace outerloop::evaluation
