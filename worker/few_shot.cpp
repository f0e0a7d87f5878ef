#include "worker/few_shot.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>

#include "common/rule/error.h"
#include "worker/few_shot_methods.h"

namespace outerloop::worker {
namespace {

constexpr double kNormal95 = 1.959964;

/// Where an accuracy belongs: a method's setting, a read-out, and its strength.
using ByStrength = std::vector<double>;
using ByReadout = std::vector<ByStrength>;
using BySetting = std::vector<ByReadout>;   ///< a setting that was not wanted is empty
using DrawResult = std::vector<BySetting>;  ///< [methods]

/// Places of the settings that are to be computed, for each method.
using Wanted = std::vector<std::vector<std::size_t>>;

struct Choice {
  std::size_t setting = 0;
  std::size_t strength = 0;
};

DrawResult evaluate_draw(const MethodSet& set, const FewShotData& data, const FewShotOptions& options,
                         const FewShotPreparation& prepared, std::uint32_t number, const Wanted& wanted) {
  const auto draw = set.draws().sample(number);
  DrawResult result;
  for (std::size_t m = 0; m < set.methods().size(); ++m) {
    const auto& method = set.methods()[m];
    BySetting by_setting(method.settings.size());
    const auto features = method.features(draw, wanted[m]);
    OUTERLOOP_CHECK_EQ(features.size(), wanted[m].size());
    for (std::size_t i = 0; i < wanted[m].size(); ++i)
      for (const auto readout : options.readouts)
        by_setting[wanted[m][i]].push_back(baselines::accuracies(readout, {features[i].labelled, draw.labels},
                                                                 {features[i].test, prepared.test_labels},
                                                                 data.classes));
    result.push_back(std::move(by_setting));
  }
  return result;
}

/// Computes draws on several threads, each with an engine and methods of its own.
class DrawPool {
 public:
  DrawPool(const EngineFactory& make_engine, const std::vector<double>& theta,
           const std::vector<double>& untrained, const FewShotData& data, const FewShotOptions& options,
           const std::function<void(std::int64_t, std::int64_t)>& progress)
      : data_(data), options_(options), progress_(progress), prepared_(prepare_few_shot(data, options)) {
    for (int i = 0; i < std::max(1, options.threads); ++i) {
      engines_.push_back(make_engine());
      sets_.push_back(
          std::make_unique<MethodSet>(*engines_.back(), theta, untrained, data, options, prepared_));
    }
  }

  const MethodSet& methods() const { return *sets_.front(); }
  const FewShotPreparation& prepared() const { return prepared_; }

  std::vector<DrawResult> compute(std::int64_t first, std::int64_t count, const Wanted& wanted) {
    std::vector<DrawResult> results(static_cast<std::size_t>(count));
    std::atomic<std::int64_t> next{0};
    std::exception_ptr failure;
    std::mutex mutex;
    const auto work = [&](const MethodSet& set) {
      try {
        for (std::int64_t i = next++; i < count; i = next++) {
          results[static_cast<std::size_t>(i)] =
              evaluate_draw(set, data_, options_, prepared_, static_cast<std::uint32_t>(first + i), wanted);
          const std::lock_guard<std::mutex> lock(mutex);
          progress_(++done_, options_.selection_draws + options_.draws);
        }
      } catch (...) {
        const std::lock_guard<std::mutex> lock(mutex);
        failure = std::current_exception();
        next = count;
      }
    };
    std::vector<std::thread> threads;
    for (std::size_t i = 1; i < sets_.size(); ++i) threads.emplace_back(work, std::cref(*sets_[i]));
    work(*sets_.front());
    for (auto& thread : threads) thread.join();
    if (failure) std::rethrow_exception(failure);
    return results;
  }

 private:
  const FewShotData& data_;
  const FewShotOptions& options_;
  const std::function<void(std::int64_t, std::int64_t)>& progress_;
  FewShotPreparation prepared_;
  std::vector<std::unique_ptr<rule::Engine>> engines_;
  std::vector<std::unique_ptr<MethodSet>> sets_;
  std::int64_t done_ = 0;
};

/// The setting and strength that are best on average over the draws of selection, the first among equals:
/// [methods][readouts].
std::vector<std::vector<Choice>> choose(const std::vector<DrawResult>& draws, const FewShotOptions& options) {
  std::vector<std::vector<Choice>> choices;
  for (std::size_t m = 0; m < options.methods.size(); ++m) {
    choices.emplace_back(options.readouts.size());
    for (std::size_t r = 0; r < options.readouts.size(); ++r) {
      double best = -1.0;
      for (std::size_t s = 0; s < draws.front()[m].size(); ++s)
        for (std::size_t i = 0; i < draws.front()[m][s][r].size(); ++i) {
          double sum = 0.0;
          for (const auto& draw : draws) sum += draw[m][s][r][i];
          if (sum <= best) continue;
          best = sum;
          choices[m][r] = {s, i};
        }
    }
  }
  return choices;
}

struct Interval {
  double mean = 0.0;
  double half_width = 0.0;
};

Interval interval(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0.0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {mean, values.size() > 1 ? kNormal95 * std::sqrt(squares / (n - 1.0) / n) : 0.0};
}

std::vector<FewShotRow> tabulate(const std::vector<DrawResult>& draws,
                                 const std::vector<std::vector<Choice>>& choices, const MethodSet& set,
                                 const FewShotOptions& options) {
  const auto& methods = set.methods();
  const auto of = [&](std::size_t m, std::size_t r) {
    std::vector<double> values;
    for (const auto& draw : draws)
      values.push_back(draw[m][choices[m][r].setting][r][choices[m][r].strength]);
    return values;
  };
  const auto random = static_cast<std::size_t>(
      std::find(options.methods.begin(), options.methods.end(), "random") - options.methods.begin());
  std::vector<FewShotRow> rows;
  for (std::size_t m = 0; m < methods.size(); ++m)
    for (std::size_t r = 0; r < options.readouts.size(); ++r) {
      const auto readout = options.readouts[r];
      auto values = of(m, r);
      const Interval own = interval(values);
      const auto other = of(random, r);
      for (std::size_t d = 0; d < values.size(); ++d) values[d] -= other[d];
      const Interval paired = interval(values);
      rows.push_back({methods[m].name, baselines::readout_name(readout),
                      methods[m].settings[choices[m][r].setting],
                      baselines::strengths(readout)[choices[m][r].strength], own.mean, own.half_width,
                      paired.mean, paired.half_width});
    }
  return rows;
}

void check(const FewShotData& data, const FewShotOptions& options) {
  const auto& methods = options.methods;
  if (std::find(methods.begin(), methods.end(), "random") == methods.end())
    throw InputError("evaluate: `random` must be among the methods, since differences are to it");
  if (options.readouts.empty() || options.selection_draws < 1 || options.draws < 1)
    throw InputError("evaluate: one read-out, one draw and one draw of selection are needed at least");
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

}  // namespace

const std::vector<std::string>& few_shot_methods() {
  static const std::vector<std::string> methods = {
      "rule", "untrained", "random", "pixels", "pca", "kmeans", "vae", "masked_contrastive", "supervised"};
  return methods;
}

FewShotTable evaluate_few_shot(const EngineFactory& make_engine, const std::vector<double>& theta,
                               const std::vector<double>& untrained, const FewShotData& data,
                               const FewShotOptions& options,
                               const std::function<void(std::int64_t, std::int64_t)>& progress) {
  check(data, options);
  DrawPool pool(make_engine, theta, untrained, data, options, progress);
  const auto& set = pool.methods();

  // 1. Every setting on the draws of selection.
  Wanted wanted;
  for (const auto& method : set.methods()) {
    wanted.emplace_back(method.settings.size());
    std::iota(wanted.back().begin(), wanted.back().end(), std::size_t{0});
  }
  const auto choices = choose(pool.compute(0, options.selection_draws, wanted), options);

  // 2. What was chosen, on the draws that are reported.
  for (std::size_t m = 0; m < wanted.size(); ++m) {
    std::set<std::size_t> settings;
    for (const auto& choice : choices[m]) settings.insert(choice.setting);
    wanted[m].assign(settings.begin(), settings.end());
  }
  const auto draws = pool.compute(options.selection_draws, options.draws, wanted);
  return {data.name,
          data.size,
          options.labels_per_class,
          set.draws().architecture().description(),
          options.inner_steps,
          options.draws,
          data.train.rows,
          pool.prepared().test.rows,
          tabulate(draws, choices, set, options)};
}

}  // namespace outerloop::worker
