#include "common/evaluation/file_features.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "common/base/error.h"
#include "common/base/parallel.h"
#include "common/data/scaling.h"
#include "common/rule/random.h"

namespace outerloop::evaluation {
namespace {

using rule::InputScaling;
using rule::Matrix;

constexpr std::int64_t kBlockNumbers = std::int64_t{1} << 20;
constexpr float kTop = 255.0f;
constexpr const char* kLinear = "linear";
constexpr std::uint32_t kSampleStream = 0xFFFFFFFEu;

std::int64_t block_rows(std::int64_t inputs) { return std::max<std::int64_t>(1, kBlockNumbers / inputs); }

/// Calls work(first, last) for parts of 0 .. count - 1, one for each thread.
void in_parts(std::int64_t count, int threads, const std::function<void(std::int64_t, std::int64_t)>& work) {
  const std::int64_t part = std::max<std::int64_t>(1, (count + threads - 1) / threads);
  base::for_each_index((count + part - 1) / part, threads,
                       [&](std::size_t, std::int64_t i) { work(i * part, std::min(count, (i + 1) * part)); });
}

data::Scaling levels_of(const InputScaling& scaling) {
  return {data::scaling_of_name(scaling.kind), scaling.columns, scaling.numbers};
}

/// Converts a row's numbers to the inputs of base models.
class Scaler {
 public:
  Scaler(const InputScaling& scaling, int threads)
      : linear_(scaling.kind == kLinear), columns_(scaling.columns), threads_(threads) {
    if (linear_) {
      low_ = scaling.numbers.at(0);
      width_ = scaling.numbers.at(1) - low_;
    } else {
      levels_ = levels_of(scaling);
    }
  }

  Matrix scaled(const std::vector<double>& numbers) const {
    Matrix x(static_cast<std::int64_t>(numbers.size()) / columns_, columns_);
    in_parts(x.rows, threads_, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i)
        for (std::int64_t j = 0; j < columns_; ++j)
          x.row(i)[j] = input(j, numbers[static_cast<std::size_t>(i * columns_ + j)]);
    });
    return x;
  }

 private:
  float input(std::int64_t column, double number) const {
    if (!linear_) return static_cast<float>(levels_.level(column, number)) / kTop;
    return width_ > 0.0 ? static_cast<float>((number - low_) / width_) : 0.0f;
  }

  bool linear_;
  std::int64_t columns_;
  int threads_;
  double low_ = 0.0, width_ = 0.0;
  data::Scaling levels_;
};

/// All rows, or a random sample of them in their order.
std::vector<double> sampled(data::RowReader& rows, std::uint64_t seed) {
  const std::int64_t inputs = rows.inputs(), block = block_rows(inputs);
  const std::int64_t most = std::max<std::int64_t>(1000, kMostSampled / inputs);
  std::vector<double> sample, numbers;
  std::vector<std::int32_t> chosen;
  if (rows.rows() > most) {
    chosen = rule::Random(seed, kSampleStream, 0, rule::Purpose::evaluation)
                 .sample(static_cast<std::int32_t>(rows.rows()), static_cast<std::int32_t>(most));
    std::sort(chosen.begin(), chosen.end());
  }
  auto next = chosen.begin();
  std::int64_t begin = 0;
  while (const std::int64_t count = rows.read(block, numbers)) {
    if (chosen.empty()) sample.insert(sample.end(), numbers.begin(), numbers.end());
    for (; next != chosen.end() && *next < begin + count; ++next) {
      const auto row = numbers.begin() + (*next - begin) * inputs;
      sample.insert(sample.end(), row, row + inputs);
    }
    begin += count;
    numbers.clear();
  }
  rows.rewind();
  return sample;
}

InputScaling linear(double low, double high, std::int64_t columns) { return {kLinear, columns, {low, high}}; }

InputScaling fitted(const ScalingChoice& choice, const data::RowReader& rows,
                    const std::vector<double>& sample, const std::string& file) {
  if (choice.as_they_are) return linear(0.0, rows.bytes() ? 255.0 : 1.0, rows.inputs());
  if (rows.images() && choice.images_together) {
    const auto [low, high] = std::minmax_element(sample.begin(), sample.end());
    return linear(*low, *high, rows.inputs());
  }
  data::WorkingSet set;
  set.inputs = rows.inputs();
  set.class_names = {"all"};
  set.labels.assign(sample.size() / static_cast<std::size_t>(rows.inputs()), 0);
  if (rows.bytes())
    set.pixels.assign(sample.begin(), sample.end());
  else
    set.values = sample;
  auto scalings = data::fit_scalings(choice.kind, set, data::ClassSplit::all);
  if (choice.kind == data::ScalingKind::none) data::scale_vectors(scalings, file, set);  // throws
  auto& scaling = scalings.front();
  return {data::scaling_name(scaling.kind), scaling.columns, std::move(scaling.numbers)};
}

/// Over all rows, one pass per layer.
rule::FrozenStatistics statistics_of(const rule::KeptModel& model, data::RowReader& rows,
                                     const Scaler& scaler, int threads) {
  rule::StatisticsBuilder builder(model.rule, model.architecture, model.phi);
  std::vector<double> numbers;
  while (!builder.complete()) {
    while (rows.read(block_rows(rows.inputs()), numbers) > 0) {
      const Matrix x = scaler.scaled(numbers);
      const std::int64_t part = builder.part(), parts = (x.rows + part - 1) / part;
      std::vector<rule::StatisticsBuilder::Moments> moments(static_cast<std::size_t>(parts));
      in_parts(parts, threads, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i)
          moments[static_cast<std::size_t>(i)] =
              builder.moments(x, i * part, std::min(part, x.rows - i * part));
      });
      for (const auto& of_part : moments) builder.join(of_part);
      numbers.clear();
    }
    builder.finish_layer();
    rows.rewind();
  }
  return builder.statistics();
}

/// What computes the features of some rows.
std::function<Matrix(const Matrix&)> features_by(const rule::KeptModel& model, int threads,
                                                 rule::Engine* module_engine) {
  if (model.rule.script) {
    OUTERLOOP_CHECK(module_engine != nullptr, "a module's model without an engine");
    return [&model, module_engine](const Matrix& x) {
      return module_engine->features(model.architecture, model.theta, model.phi, model.statistics, x);
    };
  }
  const auto rows =
      std::make_shared<rule::RowFeatures>(model.rule, model.architecture, model.phi, model.statistics);
  return [rows, threads](const Matrix& x) {
    Matrix features(x.rows, rows->outputs());
    in_parts(x.rows, threads,
             [&](std::int64_t first, std::int64_t last) { rows->compute(x, first, last, features); });
    return features;
  };
}

}  // namespace

void check_input_scaling(const InputScaling& scaling, const std::string& name) {
  if (scaling.kind != kLinear) return data::check_scaling(levels_of(scaling), name);
  if (scaling.numbers.size() != 2 || !std::isfinite(scaling.numbers[0]) || !std::isfinite(scaling.numbers[1]))
    throw InputError(name + ": a linear scaling needs a low and a high number: make the file again");
}

rule::KeptModel train_on_rows(rule::Engine& engine, const std::vector<double>& theta, data::RowReader& rows,
                              const ScalingChoice& scaling, const ApplyOptions& options, int threads,
                              const std::string& file) {
  if (rows.rows() < 2)
    throw InputError(file + ": " + std::to_string(rows.rows()) +
                     " example; training needs at least two examples");
  rule::KeptModel model;
  model.rule = engine.rule();
  auto sample = sampled(rows, options.seed);
  model.scaling = fitted(scaling, rows, sample, file);
  const Scaler scaler(model.scaling, threads);
  auto x = scaler.scaled(sample);
  sample = {};
  // A module computes its statistics from a matrix, that of the sample.
  auto trained = train_base_model(engine, theta, engine.rule().script ? x : std::move(x), options);
  model.architecture = std::move(trained.architecture);
  model.phi = std::move(trained.phi);
  for (double& value : model.phi) value = static_cast<float>(value);  // as in files
  if (model.rule.script) {
    model.theta = theta;
    model.statistics = engine.calibrate(model.architecture, theta, model.phi, x);
  } else {
    model.statistics = statistics_of(model, rows, scaler, threads);
  }
  return model;
}

std::int64_t features_of_rows(const rule::KeptModel& model, data::RowReader& rows, int threads,
                              const std::string& file,
                              const std::function<void(const Matrix& features)>& take,
                              rule::Engine* module_engine) {
  if (rows.inputs() != model.architecture.inputs())
    throw InputError(file + ": " + std::to_string(rows.inputs()) +
                     " inputs of an example, but the model was trained on " +
                     std::to_string(model.architecture.inputs()) + ": give the same columns");
  const Scaler scaler(model.scaling, threads);
  const auto compute = features_by(model, threads, module_engine);
  std::vector<double> numbers;
  std::int64_t done = 0;
  while (rows.read(block_rows(rows.inputs()), numbers) > 0) {
    const Matrix x = scaler.scaled(numbers);
    take(compute(x));
    done += x.rows;
    numbers.clear();
  }
  return done;
}

}  // namespace outerloop::evaluation
