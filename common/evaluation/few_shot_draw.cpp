#include "common/evaluation/few_shot_draw.h"

#include <algorithm>
#include <numeric>

#include "common/base/error.h"
#include "common/rule/phi.h"

namespace outerloop::evaluation {
namespace {

// Element ranges of one draw's random numbers.
constexpr std::uint32_t kPermutationElements = 0;
constexpr std::uint32_t kLabelledElements = 1u << 24;
constexpr std::uint32_t kMinibatchElements = 1u << 26;
constexpr std::uint64_t kEvaluationSeed = 0x6576616C75617465u;  // apart from the training tasks' φ

rule::Random random_of(const FewShotOptions& options, std::uint32_t draw) {
  return rule::Random(options.seed, draw, 0, rule::Purpose::evaluation);
}

}  // namespace

rule::Matrix rows_of(const rule::Matrix& from, const std::vector<std::int32_t>& rows) {
  rule::Matrix to(static_cast<std::int64_t>(rows.size()), from.columns);
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

DrawSampler::DrawSampler(rule::Engine& engine, const FewShotData& data, const FewShotOptions& options)
    : engine_(engine),
      network_rule_(engine.rule()),
      data_(data),
      options_(options),
      rows_of_class_(static_cast<std::size_t>(data.classes)) {
  if (network_rule_.script) {
    network_rule_.name = "neuron_local";
    network_rule_.script.reset();
  }
  if (options.minibatch < 1)
    throw InputError("minibatches of " + std::to_string(options.minibatch) + " examples: take 1 at least");
  for (std::size_t i = 0; i < data.train_labels.size(); ++i)
    rows_of_class_[static_cast<std::size_t>(data.train_labels[i])].push_back(static_cast<std::int32_t>(i));
  architecture_.units.push_back(data.train.columns);
  for (const auto width : options.hidden) architecture_.units.push_back(width);
  architecture_.units.push_back(engine.rule().neuron_local.output_units);
  architecture_.nonlinearity = options.nonlinearity;
}

Draw DrawSampler::sample(std::uint32_t number) const {
  const auto random = random_of(options_, number);
  const auto inputs = static_cast<std::int32_t>(data_.train.columns);
  Draw draw;
  draw.number = number;
  draw.permutation = random.permutation(inputs, kPermutationElements);
  if (!options_.permute) std::iota(draw.permutation.begin(), draw.permutation.end(), 0);
  std::uint32_t element = kLabelledElements;
  for (const auto& candidates : rows_of_class_) {
    const auto chosen = random.sample(static_cast<std::int32_t>(candidates.size()),
                                      static_cast<std::int32_t>(options_.labels_per_class), element);
    for (const auto i : chosen) draw.labelled.push_back(candidates[static_cast<std::size_t>(i)]);
    element += static_cast<std::uint32_t>(options_.labels_per_class);
  }
  draw.labels = labels_of(data_.train_labels, draw.labelled);
  draw.start = engine_.initial_phi(architecture_, options_.seed ^ kEvaluationSeed, number, 0);
  return draw;
}

std::vector<rule::Batch> DrawSampler::minibatches(const Draw& draw, std::int64_t first,
                                                  std::int64_t count) const {
  const auto random = random_of(options_, draw.number);
  auto element = kMinibatchElements + static_cast<std::uint32_t>(first * options_.minibatch);
  std::vector<rule::Batch> result(static_cast<std::size_t>(count));
  for (auto& batch : result) {
    batch.examples = options_.minibatch;
    batch.inputs = data_.train.columns;
    for (std::int64_t i = 0; i < batch.examples; ++i) {
      const auto row = random.below(element++, static_cast<std::uint64_t>(data_.train.rows));
      const float* pixels = data_.train.row(static_cast<std::int64_t>(row));
      for (const auto p : draw.permutation) batch.x.push_back(pixels[p]);
    }
  }
  return result;
}

std::vector<double> DrawSampler::without_permutation(const Draw& draw, const std::vector<double>& phi) const {
  // Permuting the first layer's rows back is cheaper than permuting all images: x'[i] = x[permutation[i]].
  const rule::TensorSpec first = engine_.phi_layout(architecture_).at("1/W");
  const auto width = first.shape[1];
  auto result = phi;
  for (std::size_t i = 0; i < draw.permutation.size(); ++i)
    std::copy_n(phi.begin() + first.offset + static_cast<std::int64_t>(i) * width, width,
                result.begin() + first.offset + draw.permutation[i] * width);
  return result;
}

rule::Matrix DrawSampler::permuted(const Draw& draw, const rule::Matrix& x) const {
  rule::Matrix result(x.rows, x.columns);
  for (std::int64_t i = 0; i < x.rows; ++i) {
    const float* from = x.row(i);
    float* to = result.row(i);
    for (const auto p : draw.permutation) *to++ = from[p];
  }
  return result;
}

std::vector<double> DrawSampler::network_start(const Draw& draw) const {
  if (!engine_.rule().script) return without_permutation(draw, draw.start);
  return rule::initial_phi(rule::phi_layout(network_rule_, architecture_), options_.seed ^ kEvaluationSeed,
                           draw.number, 0);
}

}  // namespace outerloop::evaluation
