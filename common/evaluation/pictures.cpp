#include "common/evaluation/pictures.h"

#include <algorithm>

#include "common/base/error.h"
#include "common/evaluation/baselines/pca.h"
#include "common/rule/phi.h"
#include "common/rule/scripted_rule.h"

namespace outerloop::evaluation {
namespace {

constexpr std::int64_t kComponents = 3;

/// Calls look(methods, draw 0, φ) after each of `steps`.
template <typename Look>
void for_each_step(const RuleUnderTest& rule, const FewShotData& data, FewShotOptions options,
                   const std::vector<std::int64_t>& steps, const Look& look) {
  options.methods = {"random"};
  DrawPool pool(rule, data, options, 1, [](std::int64_t, std::int64_t) {});
  pool.for_each_block(0, 1, [&](const MethodSet& set, const std::vector<Draw>& draws) {
    set.train(rule.theta, draws, steps, [&](std::size_t, const std::vector<double>& phi) {
      look(set, pool.prepared(), draws.front(), phi);
    });
  });
}

/// Throws InputError for a module without weights on the inputs.
void check_has_filters(rule::Engine& engine, const FewShotData& data, const FewShotOptions& options) {
  const auto& script = engine.rule().script;
  if (!script) return;
  rule::Architecture architecture;
  architecture.units = {data.train.columns};
  architecture.units.insert(architecture.units.end(), options.hidden.begin(), options.hidden.end());
  architecture.units.push_back(engine.rule().neuron_local.output_units);
  const auto layout = engine.phi_layout(architecture);
  const auto inputs = architecture.inputs();
  if (layout.contains("1/W")) {
    const auto& shape = layout.at("1/W").shape;
    if (shape.size() == 2 && shape[0] == inputs) return;
  }
  throw InputError("filters: φ of " + script->name + " has no tensor 1/W [" + std::to_string(inputs) +
                   ", units] to draw; take another figure");
}

void flip_like(const rule::Matrix& before, rule::Matrix& points) {
  for (std::int64_t j = 0; j < std::min(before.columns, points.columns); ++j) {
    double product = 0.0;
    for (std::int64_t i = 0; i < points.rows; ++i)
      product += static_cast<double>(before.row(i)[j]) * static_cast<double>(points.row(i)[j]);
    if (product >= 0.0) continue;
    for (std::int64_t i = 0; i < points.rows; ++i) points.row(i)[j] = -points.row(i)[j];
  }
}

}  // namespace

std::vector<Filters> first_layer_filters(const RuleUnderTest& rule, const FewShotData& data,
                                         const FewShotOptions& options,
                                         const std::vector<std::int64_t>& steps, std::int64_t units) {
  std::vector<Filters> result;
  const auto engine = rule.make_engine();
  check_has_filters(*engine, data, options);
  for_each_step(rule, data, options, steps,
                [&](const MethodSet& set, const FewShotPreparation&, const Draw& draw, const auto& phi) {
                  const auto straight = set.draws().without_permutation(draw, phi);
                  const auto first = engine->phi_layout(set.draws().architecture()).at("1/W");
                  const auto inputs = first.shape[0], width = first.shape[1];
                  Filters filters;
                  filters.step = steps[result.size()];
                  for (std::int64_t unit = 0; unit < std::min(units, width); ++unit) {
                    filters.units.emplace_back();
                    for (std::int64_t i = 0; i < inputs; ++i)
                      filters.units.back().push_back(
                          straight[static_cast<std::size_t>(first.offset + i * width + unit)]);
                  }
                  result.push_back(std::move(filters));
                });
  return result;
}

std::vector<Embedding> embeddings(const RuleUnderTest& rule, const FewShotData& data,
                                  const FewShotOptions& options, const std::vector<std::int64_t>& steps) {
  std::vector<Embedding> result;
  for_each_step(
      rule, data, options, steps,
      [&](const MethodSet& set, const FewShotPreparation& prepared, const Draw& draw, const auto& phi) {
        const auto features = set.features(rule.theta, draw, phi, {&prepared.test}).front();
        const baselines::Pca pca(features, kComponents);
        Embedding embedding{steps[result.size()], pca.project(features), {}};
        for (const double variance : pca.variance())
          embedding.share.push_back(pca.total_variance() > 0.0 ? variance / pca.total_variance() : 0.0);
        if (!result.empty()) flip_like(result.back().points, embedding.points);
        result.push_back(std::move(embedding));
      });
  return result;
}

std::vector<std::int32_t> embedded_labels(const FewShotData& data, const FewShotOptions& options) {
  auto plain = options;
  plain.methods = {"random"};
  return prepare_few_shot(data, plain).test_labels;
}

}  // namespace outerloop::evaluation
