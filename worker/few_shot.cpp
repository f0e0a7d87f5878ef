#include "worker/few_shot.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>

#include "common/rule/error.h"
#include "common/rule/phi.h"
#include "common/rule/random.h"
#include "common/rule/readout.h"

namespace outerloop::worker {
namespace {

const std::vector<std::string> kMethods = {"rule", "untrained", "random", "pixels"};
constexpr std::size_t kRandom = 2;
// λ per example on standardised features.
const std::vector<double> kLambdas = {1e-3, 1e-2, 1e-1, 1.0, 10.0};
constexpr std::int64_t kUnrollChunk = 32;  // inner steps whose minibatches are in memory at once
constexpr double kNormal95 = 1.959964;
// Element ranges of one draw's random numbers.
constexpr std::uint32_t kPermutationElements = 0;
constexpr std::uint32_t kLabelledElements = 1u << 24;
constexpr std::uint32_t kMinibatchElements = 1u << 26;
constexpr std::uint32_t kTestStream = 0xFFFFFFFFu;

using rule::Matrix;

Matrix rows_of(const Matrix& from, const std::vector<std::int32_t>& rows) {
  Matrix to(static_cast<std::int64_t>(rows.size()), from.columns);
  for (std::size_t i = 0; i < rows.size(); ++i)
    std::copy_n(from.row(rows[i]), from.columns, to.row(static_cast<std::int64_t>(i)));
  return to;
}

std::vector<std::int32_t> labels_of(const std::vector<std::int32_t>& labels,
                                    const std::vector<std::int32_t>& rows) {
  std::vector<std::int32_t> result;
  for (const auto row : rows) result.push_back(labels[static_cast<std::size_t>(row)]);
  return result;
}

/// Accuracy of every λ for every method on one draw: [methods][lambdas].
using DrawResult = std::vector<std::vector<double>>;

/// Computes single draws; one per thread.
class DrawEvaluator {
 public:
  DrawEvaluator(rule::Engine& engine, const std::vector<double>& theta, const std::vector<double>& untrained,
                const FewShotData& data, const FewShotOptions& options,
                const std::vector<std::int32_t>& test_rows)
      : engine_(engine),
        theta_(theta),
        untrained_(untrained),
        data_(data),
        options_(options),
        test_(rows_of(data.test, test_rows)),
        test_labels_(labels_of(data.test_labels, test_rows)) {
    train_rows_of_class_.resize(static_cast<std::size_t>(data.classes));
    for (std::size_t i = 0; i < data.train_labels.size(); ++i)
      train_rows_of_class_[static_cast<std::size_t>(data.train_labels[i])].push_back(
          static_cast<std::int32_t>(i));
    architecture_.units.push_back(data.train.columns);
    for (const auto width : options.hidden) architecture_.units.push_back(width);
    architecture_.units.push_back(engine.rule().neuron_local.output_units);
  }

  const rule::Architecture& architecture() const { return architecture_; }

  DrawResult evaluate(std::uint32_t draw) {
    const rule::Random random(options_.seed, draw, 0, rule::Purpose::evaluation);
    const auto permutation =
        random.permutation(static_cast<std::int32_t>(data_.train.columns), kPermutationElements);
    const auto labelled = labelled_rows(random);
    const auto layout = rule::phi_layout(engine_.rule(), architecture_);
    const auto start = rule::initial_phi(layout, options_.seed ^ kEvaluationSeed, draw, 0);
    DrawResult result;
    for (const auto* theta : {&theta_, &untrained_})
      result.push_back(
          base_model_accuracies(train(*theta, start, random, permutation), permutation, labelled));
    result.push_back(base_model_accuracies(start, permutation, labelled));
    result.push_back(accuracies(rows_of(data_.train, labelled), labelled, test_));
    return result;
  }

 private:
  static constexpr std::uint64_t kEvaluationSeed = 0x6576616C75617465u;  // apart from the training tasks' φ

  std::vector<std::int32_t> labelled_rows(const rule::Random& random) const {
    std::vector<std::int32_t> rows;
    std::uint32_t element = kLabelledElements;
    for (const auto& candidates : train_rows_of_class_) {
      const auto chosen = random.sample(static_cast<std::int32_t>(candidates.size()),
                                        static_cast<std::int32_t>(options_.labels_per_class), element);
      for (const auto i : chosen) rows.push_back(candidates[static_cast<std::size_t>(i)]);
      element += static_cast<std::uint32_t>(options_.labels_per_class);
    }
    return rows;
  }

  /// φ after the inner steps on random unlabelled minibatches.
  std::vector<double> train(const std::vector<double>& theta, const std::vector<double>& start,
                            const rule::Random& random, const std::vector<std::int32_t>& permutation) {
    auto phi = start;
    std::uint32_t element = kMinibatchElements;
    for (std::int64_t left = options_.inner_steps; left > 0; left -= kUnrollChunk) {
      std::vector<rule::Batch> minibatches(static_cast<std::size_t>(std::min(left, kUnrollChunk)));
      for (auto& batch : minibatches) fill(batch, random, permutation, element);
      phi = engine_.unroll(architecture_, theta, phi, minibatches);
    }
    const bool finite =
        std::all_of(phi.begin(), phi.end(), [](double value) { return std::isfinite(value); });
    if (!finite)
      throw Error("evaluate: φ is not finite after " + std::to_string(options_.inner_steps) + " steps");
    return phi;
  }

  void fill(rule::Batch& batch, const rule::Random& random, const std::vector<std::int32_t>& permutation,
            std::uint32_t& element) const {
    batch.examples = options_.minibatch;
    batch.inputs = data_.train.columns;
    for (std::int64_t i = 0; i < batch.examples; ++i) {
      const auto row = random.below(element++, static_cast<std::uint64_t>(data_.train.rows));
      const float* pixels = data_.train.row(static_cast<std::int64_t>(row));
      for (const auto p : permutation) batch.x.push_back(pixels[p]);
    }
  }

  std::vector<double> base_model_accuracies(std::vector<double> phi,
                                            const std::vector<std::int32_t>& permutation,
                                            const std::vector<std::int32_t>& labelled) const {
    // Permuting the first layer's rows back is cheaper than permuting all images: x'[i] = x[permutation[i]].
    const rule::TensorSpec first = rule::phi_layout(engine_.rule(), architecture_).at("1/W");
    const auto width = first.shape[1];
    const std::vector<double> permuted(phi.begin() + first.offset, phi.begin() + first.offset + first.size());
    for (std::size_t i = 0; i < permutation.size(); ++i)
      std::copy_n(permuted.begin() + static_cast<std::int64_t>(i) * width, width,
                  phi.begin() + first.offset + permutation[i] * width);
    const auto statistics = rule::frozen_statistics(engine_.rule(), architecture_, phi, data_.train);
    const auto features = [&](const Matrix& x) {
      return rule::features(engine_.rule(), architecture_, phi, statistics, x);
    };
    return accuracies(features(rows_of(data_.train, labelled)), labelled, features(test_));
  }

  std::vector<double> accuracies(const Matrix& train, const std::vector<std::int32_t>& labelled,
                                 const Matrix& test) const {
    std::vector<double> result;
    const auto labels = labels_of(data_.train_labels, labelled);
    for (const double lambda : kLambdas)
      result.push_back(rule::accuracy(
          rule::RidgeClassifier(train, labels, data_.classes, lambda).predict(test), test_labels_));
    return result;
  }

  rule::Engine& engine_;
  const std::vector<double>& theta_;
  const std::vector<double>& untrained_;
  const FewShotData& data_;
  const FewShotOptions& options_;
  Matrix test_;
  std::vector<std::int32_t> test_labels_;
  std::vector<std::vector<std::int32_t>> train_rows_of_class_;
  rule::Architecture architecture_;
};

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

std::size_t best_lambda(const std::vector<DrawResult>& selection, std::size_t method) {
  std::vector<double> total(kLambdas.size());
  for (const auto& draw : selection)
    for (std::size_t i = 0; i < total.size(); ++i) total[i] += draw[method][i];
  return static_cast<std::size_t>(std::max_element(total.begin(), total.end()) - total.begin());
}

std::vector<FewShotRow> tabulate(const std::vector<DrawResult>& selection,
                                 const std::vector<DrawResult>& draws) {
  std::vector<std::vector<double>> accuracy(kMethods.size());
  std::vector<FewShotRow> rows;
  for (std::size_t m = 0; m < kMethods.size(); ++m) {
    const std::size_t lambda = best_lambda(selection, m);
    for (const auto& draw : draws) accuracy[m].push_back(draw[m][lambda]);
    rows.push_back({kMethods[m], "ridge", kLambdas[lambda], 0.0, 0.0, 0.0, 0.0});
  }
  for (std::size_t m = 0; m < kMethods.size(); ++m) {
    std::vector<double> difference;
    for (std::size_t d = 0; d < draws.size(); ++d)
      difference.push_back(accuracy[m][d] - accuracy[kRandom][d]);
    const Interval own = interval(accuracy[m]);
    const Interval paired = interval(difference);
    rows[m].accuracy = own.mean;
    rows[m].ci95 = own.half_width;
    rows[m].minus_random = paired.mean;
    rows[m].minus_random_ci95 = paired.half_width;
  }
  return rows;
}

void check_enough(const FewShotData& data, const FewShotOptions& options) {
  std::vector<std::int64_t> count(static_cast<std::size_t>(data.classes));
  for (const auto label : data.train_labels) ++count[static_cast<std::size_t>(label)];
  const auto fewest = *std::min_element(count.begin(), count.end());
  if (fewest < options.labels_per_class)
    throw InputError("evaluate: a class of " + data.name + " has " + std::to_string(fewest) +
                     " training examples, fewer than --labels " + std::to_string(options.labels_per_class));
}

void append(const data::Dataset& from, std::int64_t row, Matrix& to, std::vector<std::int32_t>& labels) {
  const std::uint8_t* pixels = from.pixels.data() + row * from.inputs;
  for (std::int64_t i = 0; i < from.inputs; ++i) to.values.push_back(static_cast<float>(pixels[i]) / 255.0f);
  to.columns = from.inputs;
  ++to.rows;
  labels.push_back(from.labels[static_cast<std::size_t>(row)]);
}

}  // namespace

FewShotData open_few_shot_data(const data::DatasetRequest& request, const std::string& cache_directory) {
  FewShotData result;
  result.name = request.name;
  result.size = request.size;
  if (data::has_parts(request.name)) {
    data::DatasetRequest part = request;
    part.part = data::Part::train;
    const auto train = data::open_dataset(part, cache_directory);
    part.part = data::Part::test;
    const auto test = data::open_dataset(part, cache_directory);
    for (std::int64_t i = 0; i < train->examples(); ++i) append(*train, i, result.train, result.train_labels);
    for (std::int64_t i = 0; i < test->examples(); ++i) append(*test, i, result.test, result.test_labels);
    result.classes = train->classes();
    return result;
  }
  const auto all = data::open_dataset(request, cache_directory);
  for (const auto& rows : all->examples_of_class)
    for (std::size_t i = 0; i < rows.size(); ++i)
      append(*all, rows[i], i % 2 ? result.test : result.train,
             i % 2 ? result.test_labels : result.train_labels);
  result.classes = all->classes();
  return result;
}

FewShotTable evaluate_few_shot(const EngineFactory& make_engine, const std::vector<double>& theta,
                               const std::vector<double>& untrained, const FewShotData& data,
                               const FewShotOptions& options,
                               const std::function<void(std::int64_t, std::int64_t)>& progress) {
  check_enough(data, options);
  const auto tested = static_cast<std::int32_t>(std::min(options.test_examples, data.test.rows));
  const auto test_rows = rule::Random(options.seed, kTestStream, 0, rule::Purpose::evaluation)
                             .sample(static_cast<std::int32_t>(data.test.rows), tested);
  const std::int64_t total = options.selection_draws + options.draws;
  std::vector<DrawResult> results(static_cast<std::size_t>(total));
  std::atomic<std::int64_t> next{0};
  std::int64_t done = 0;
  std::string base_model;
  std::exception_ptr failure;
  std::mutex mutex;
  const auto compute = [&] {
    try {
      const auto engine = make_engine();
      DrawEvaluator evaluator(*engine, theta, untrained, data, options, test_rows);
      for (std::int64_t draw = next++; draw < total; draw = next++) {
        results[static_cast<std::size_t>(draw)] = evaluator.evaluate(static_cast<std::uint32_t>(draw));
        const std::lock_guard<std::mutex> lock(mutex);
        base_model = evaluator.architecture().description();
        progress(++done, total);
      }
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex);
      failure = std::current_exception();
      next = total;
    }
  };
  std::vector<std::thread> threads;
  for (int i = 1; i < options.threads; ++i) threads.emplace_back(compute);
  compute();
  for (auto& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
  const auto split = results.begin() + options.selection_draws;
  return {data.name,
          data.size,
          options.labels_per_class,
          base_model,
          options.inner_steps,
          options.draws,
          tabulate({results.begin(), split}, {split, results.end()})};
}

}  // namespace outerloop::worker
