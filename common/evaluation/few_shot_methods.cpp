#include "common/evaluation/few_shot_methods.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "common/base/error.h"
#include "common/evaluation/baselines/contrastive.h"
#include "common/evaluation/baselines/kmeans.h"
#include "common/evaluation/baselines/pca.h"
#include "common/evaluation/baselines/supervised.h"
#include "common/evaluation/baselines/vae.h"
#include "common/rule/checks.h"

namespace outerloop::evaluation {
namespace {

using rule::Matrix;

// Inner steps whose minibatches are in memory at once, of one draw and of all draws of a block.
constexpr std::int64_t kUnrollChunk = 32, kBlockChunk = 128;
constexpr std::uint32_t kTestStream = 0xFFFFFFFFu;
// Random streams of the baselines within a draw: `task` of their random numbers. 0 is the draw's own.
constexpr std::uint32_t kKMeansTask = 1, kVaeTask = 2, kContrastiveTask = 3, kSupervisedTask = 4;

constexpr std::int64_t kPcaComponents = 32;
constexpr std::int64_t kCentroids = 256;
constexpr std::int64_t kKMeansExamples = 10000;  // keeps a draw below a second
constexpr int kKMeansIterations = 20;
constexpr std::int64_t kWhitenedComponents = 32;
constexpr double kWhiteningFloor = 0.1;
const std::vector<std::int64_t> kVaeSteps = {100, 300, 1000, 3000};
const std::vector<std::int64_t> kContrastiveSteps = {100, 300, 1000};
const std::vector<std::int64_t> kSupervisedSteps = {10, 30, 100, 300};
const std::vector<float> kSupervisedRates = {1e-3f, 3e-3f, 1e-2f};

bool wants(const FewShotOptions& options, const char* method) {
  return std::find(options.methods.begin(), options.methods.end(), method) != options.methods.end();
}

/// Features of a method that computes draws one by one.
template <class F>
auto one_by_one(const F& features_of_draw) {
  return [features_of_draw](const std::vector<Draw>& draws, const std::vector<std::size_t>& wanted,
                            const TakeFeatures& take) {
    for (std::size_t d = 0; d < draws.size(); ++d) take(d, features_of_draw(draws[d], wanted));
  };
}

std::vector<std::string> settings_of(const std::vector<std::int64_t>& steps) {
  std::vector<std::string> settings;
  for (const auto n : steps) settings.push_back(fmt::format("{} steps", n));
  return settings;
}

}  // namespace

FewShotPreparation prepare_few_shot(const FewShotData& data, const FewShotOptions& options) {
  FewShotPreparation prepared;
  const auto tested = static_cast<std::int32_t>(std::min(options.test_examples, data.test.rows));
  prepared.test_rows = rule::Random(options.seed, kTestStream, 0, rule::Purpose::evaluation)
                           .sample(static_cast<std::int32_t>(data.test.rows), tested);
  prepared.test_labels = labels_of(data.test_labels, prepared.test_rows);
  prepared.test = rows_of(data.test, prepared.test_rows);
  if (options.statistics_examples > 0 && options.statistics_examples < data.train.rows) {
    std::vector<std::int32_t> first(static_cast<std::size_t>(options.statistics_examples));
    std::iota(first.begin(), first.end(), 0);
    prepared.statistics = rows_of(data.train, first);
  }
  if (wants(options, "pca")) {
    const baselines::Pca pca(data.train, kPcaComponents);
    prepared.pca_train = pca.project(data.train);
    prepared.pca_test = pca.project(prepared.test);
  }
  if (wants(options, "kmeans")) {
    const auto train = baselines::contrast_normalised(data.train);
    const baselines::Pca whitening(train, kWhitenedComponents);
    prepared.kmeans_train = whitening.whiten(train, kWhiteningFloor);
    prepared.kmeans_test = whitening.whiten(baselines::contrast_normalised(prepared.test), kWhiteningFloor);
  }
  return prepared;
}

MethodSet::MethodSet(rule::Engine& engine, const RuleUnderTest& rule, const FewShotData& data,
                     const FewShotOptions& options, const FewShotPreparation& prepared)
    : engine_(engine),
      rule_(rule),
      data_(data),
      options_(options),
      prepared_(prepared),
      draws_(engine, data, options) {
  for (const auto& name : options.methods) methods_.push_back(method(name));
}

Method MethodSet::method(const std::string& name) const {
  using Maker = std::function<DrawFeatures(const Draw&)>;
  const auto plain = [&name](const Maker& make) {
    return Method{name, {""}, one_by_one([make](const Draw& draw, const std::vector<std::size_t>&) {
                    return std::vector<DrawFeatures>{make(draw)};
                  })};
  };
  if (name == "rule") return trained_by(name, rule_.theta);
  if (name == "untrained") return trained_by(name, rule_.untrained);
  if (name == "random")
    return plain([this](const Draw& d) { return base_model_features(rule_.untrained, d, d.start); });
  if (name == "pixels")
    return plain([this](const Draw& d) { return fixed_features(d, data_.train, prepared_.test); });
  if (name == "pca")
    return plain(
        [this](const Draw& d) { return fixed_features(d, prepared_.pca_train, prepared_.pca_test); });
  if (name == "kmeans") return plain([this](const Draw& d) { return kmeans_features(d); });
  if (name == "vae") return trained_without_labels(name, kVaeTask, kVaeSteps);
  if (name == "masked_contrastive") return trained_without_labels(name, kContrastiveTask, kContrastiveSteps);
  if (name == "supervised") return supervised();
  throw InputError("evaluate: there is no method '" + name + "'; there are " +
                   fmt::format("{}", fmt::join(few_shot_methods(), ", ")));
}

/// `count` inner steps of all draws, after `first` steps.
std::vector<std::vector<double>> MethodSet::unroll(const std::vector<double>& theta,
                                                   const std::vector<Draw>& draws,
                                                   const std::vector<std::vector<double>>& phi,
                                                   std::int64_t first, std::int64_t count) const {
  std::vector<std::vector<rule::Batch>> minibatches;
  for (const auto& draw : draws) minibatches.push_back(draws_.minibatches(draw, first, count));
  std::vector<rule::UnrollLane> lanes;
  for (std::size_t d = 0; d < draws.size(); ++d) lanes.push_back({phi[d], minibatches[d]});
  return engine_.unrolls(draws_.architecture(), theta, lanes);
}

void MethodSet::train(const std::vector<double>& theta, const std::vector<Draw>& draws,
                      const std::vector<std::int64_t>& steps,
                      const std::function<void(std::size_t d, const std::vector<double>& phi)>& look) const {
  const auto lanes = static_cast<std::int64_t>(draws.size());
  const auto chunk =
      std::clamp<std::int64_t>(kBlockChunk / std::max<std::int64_t>(lanes, 1), 1, kUnrollChunk);
  std::vector<std::vector<double>> phi;
  for (const auto& draw : draws) phi.push_back(draw.start);
  std::int64_t step = 0;
  for (const auto end : steps) {
    for (std::int64_t count = 0; step < end; step += count) {
      count = std::min(end - step, chunk);
      phi = unroll(theta, draws, phi, step, count);
    }
    if (!std::all_of(phi.begin(), phi.end(), rule::all_finite))
      throw Error("evaluate: φ is not finite after " + std::to_string(end) + " steps");
    for (std::size_t d = 0; d < draws.size(); ++d) look(d, phi[d]);
  }
}

const Matrix& MethodSet::statistics_rows() const {
  return prepared_.statistics.rows > 0 ? prepared_.statistics : data_.train;
}

std::vector<Matrix> MethodSet::features(const std::vector<double>& theta, const Draw& draw,
                                        const std::vector<double>& phi,
                                        const std::vector<const Matrix*>& x) const {
  if (engine_.rule().script) return module_features(theta, draw, phi, x);
  const auto& architecture = draws_.architecture();
  const auto straight = draws_.without_permutation(draw, phi);
  const auto statistics = engine_.calibrate(architecture, theta, straight, statistics_rows());
  std::vector<Matrix> result;
  for (const auto* rows : x)
    result.push_back(engine_.features(architecture, theta, straight, statistics, *rows));
  return result;
}

/// A module's φ cannot be permuted, so the examples are.
std::vector<Matrix> MethodSet::module_features(const std::vector<double>& theta, const Draw& draw,
                                               const std::vector<double>& phi,
                                               const std::vector<const Matrix*>& x) const {
  const auto& architecture = draws_.architecture();
  const auto statistics =
      engine_.calibrate(architecture, theta, phi, draws_.permuted(draw, statistics_rows()));
  std::vector<Matrix> result;
  for (const auto* rows : x)
    result.push_back(engine_.features(architecture, theta, phi, statistics, draws_.permuted(draw, *rows)));
  return result;
}

DrawFeatures MethodSet::base_model_features(const std::vector<double>& theta, const Draw& draw,
                                            const std::vector<double>& phi) const {
  const auto labelled = rows_of(data_.train, draw.labelled);
  auto both = features(theta, draw, phi, {&labelled, &prepared_.test});
  return {std::move(both[0]), std::move(both[1])};
}

Method MethodSet::trained_by(const std::string& name, const std::vector<double>& theta) const {
  const bool curve = !options_.steps.empty();
  const std::vector<std::int64_t> steps =
      curve ? options_.steps : std::vector<std::int64_t>{options_.inner_steps};
  const auto features = [this, &theta, steps](const std::vector<Draw>& draws,
                                              const std::vector<std::size_t>& wanted,
                                              const TakeFeatures& take) {
    std::vector<std::int64_t> chosen;
    for (const auto i : wanted) chosen.push_back(steps[i]);
    std::vector<std::vector<DrawFeatures>> result(draws.size());
    train(theta, draws, chosen, [&](std::size_t d, const std::vector<double>& phi) {
      result[d].push_back(base_model_features(theta, draws[d], phi));
    });
    for (std::size_t d = 0; d < draws.size(); ++d) take(d, result[d]);
  };
  if (curve) return {name, settings_of(steps), features, steps};
  return {name, {""}, features};
}

DrawFeatures MethodSet::fixed_features(const Draw& draw, const Matrix& train, const Matrix& test) const {
  return {rows_of(train, draw.labelled), test};
}

DrawFeatures MethodSet::kmeans_features(const Draw& draw) const {
  const rule::Random random(options_.seed, draw.number, kKMeansTask, rule::Purpose::evaluation);
  const auto& train = prepared_.kmeans_train;
  const auto used = static_cast<std::int32_t>(std::min(kKMeansExamples, train.rows));
  const auto rows = random.sample(static_cast<std::int32_t>(train.rows), used, 1u << 24);
  const auto centroids = std::min<std::int64_t>(kCentroids, used);
  const baselines::KMeans kmeans(rows_of(train, rows), centroids, kKMeansIterations, random);
  return {kmeans.features(rows_of(train, draw.labelled)), kmeans.features(prepared_.kmeans_test)};
}

Method MethodSet::trained_without_labels(const std::string& name, std::uint32_t stream,
                                         const std::vector<std::int64_t>& own_steps) const {
  const auto& steps = options_.steps.empty() ? own_steps : options_.steps;
  const auto features = [this, name, stream, steps](const Draw& draw,
                                                    const std::vector<std::size_t>& wanted) {
    const rule::Random random(options_.seed, draw.number, stream, rule::Purpose::evaluation);
    const auto straight = draws_.network_start(draw);
    const baselines::EncoderStart start{draws_.network_rule(), draws_.architecture(), straight};
    std::vector<std::int64_t> chosen;
    for (const auto i : wanted) chosen.push_back(steps[i]);
    baselines::VaeOptions vae;
    vae.learning_rate = options_.vae_learning_rate;
    const auto encoders = name == "vae"
                              ? baselines::train_vae(start, data_.train, vae, chosen, random)
                              : baselines::train_contrastive(start, data_.train, {}, chosen, random);
    const auto labelled = rows_of(data_.train, draw.labelled);
    std::vector<DrawFeatures> result;
    for (const auto& encoder : encoders) {
      auto both = encoder.features(draws_.network_rule(), data_.train, {&labelled, &prepared_.test});
      result.push_back({std::move(both[0]), std::move(both[1])});
      if (name == "vae") result.back().loss = encoder.loss;
    }
    return result;
  };
  return {name, settings_of(steps), one_by_one(features), options_.steps};
}

Method MethodSet::supervised() const {
  const auto features = [this](const Draw& draw, const std::vector<std::size_t>& wanted) {
    const rule::Random random(options_.seed, draw.number, kSupervisedTask, rule::Purpose::evaluation);
    const auto straight = draws_.network_start(draw);
    const baselines::EncoderStart start{draws_.network_rule(), draws_.architecture(), straight};
    const auto labelled = rows_of(data_.train, draw.labelled);
    std::vector<DrawFeatures> result;
    // One training per learning rate, kept at each of its wanted steps.
    for (std::size_t r = 0; r < kSupervisedRates.size(); ++r) {
      std::vector<std::int64_t> steps;
      for (const auto i : wanted)
        if (i / kSupervisedSteps.size() == r) steps.push_back(kSupervisedSteps[i % kSupervisedSteps.size()]);
      if (steps.empty()) continue;
      for (const auto& encoder : baselines::train_supervised(start, labelled, draw.labels, data_.classes,
                                                             kSupervisedRates[r], steps, random)) {
        auto both = encoder.features(draws_.network_rule(), data_.train, {&labelled, &prepared_.test});
        result.push_back({std::move(both[0]), std::move(both[1])});
      }
    }
    return result;
  };
  std::vector<std::string> settings;
  for (const auto rate : kSupervisedRates)
    for (const auto steps : kSupervisedSteps)
      settings.push_back(fmt::format("{} steps, rate {}", steps, rate));
  return {"supervised", settings, one_by_one(features)};
}

}  // namespace outerloop::evaluation
