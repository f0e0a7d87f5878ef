#include "common/rule/reference/layer_stack.h"

#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <type_traits>
#include <utility>

namespace outerloop::rule::reference {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;
using Guard = at::AutoDispatchBelowADInplaceOrView;

constexpr std::int64_t kFactors = 6;

/// The adjoint of pack_layers: views of the gradient. A hand-written node, because Function::apply takes no
/// lists.
struct PackBackward : torch::autograd::Node {
  std::vector<PartSize> sizes;

  variable_list apply(variable_list&& dout) override {
    variable_list parts(sizes.size());
    if (!dout[0].defined()) return parts;
    const Guard guard;
    for (std::size_t l = 0; l < sizes.size(); ++l)
      parts[l] = dout[0]
                     .select(1, static_cast<std::int64_t>(l))
                     .narrow(2, 0, sizes[l].rows)
                     .narrow(3, 0, sizes[l].columns);
    return parts;
  }
};

/// Whether all parts have this size, so that nothing is padded.
bool uniform(const std::vector<PartSize>& sizes, std::int64_t rows, std::int64_t columns) {
  return std::all_of(sizes.begin(), sizes.end(),
                     [&](const PartSize& size) { return size.rows == rows && size.columns == columns; });
}

/// The parts [A, S, rows, columns] as [A, parts, S, rows, columns], padded with zeros.
Tensor joined(const std::vector<Tensor>& parts, const std::vector<PartSize>& sizes, std::int64_t rows,
              std::int64_t columns) {
  const Tensor& first = parts.front();
  if (uniform(sizes, rows, columns)) return parts.size() == 1 ? first.unsqueeze(1) : at::stack(parts, 1);
  const Tensor packed =
      at::zeros({first.size(0), static_cast<std::int64_t>(parts.size()), first.size(1), rows, columns},
                first.options().requires_grad(false));
  for (std::size_t l = 0; l < parts.size(); ++l)
    packed.select(1, static_cast<std::int64_t>(l))
        .narrow(2, 0, sizes[l].rows)
        .narrow(3, 0, sizes[l].columns)
        .copy_(parts[l]);
  return packed;
}

struct UnpackLayers : Function<UnpackLayers> {
  static variable_list forward(AutogradContext* ctx, const Tensor& packed,
                               const std::vector<PartSize>& sizes) {
    const Guard guard;
    variable_list parts;
    std::vector<std::int64_t> extents = packed.sizes().vec();
    for (std::size_t l = 0; l < sizes.size(); ++l) {
      parts.push_back(layer_part(packed, static_cast<std::int64_t>(l), sizes[l]));
      extents.push_back(sizes[l].rows);
      extents.push_back(sizes[l].columns);
    }
    ctx->saved_data["extents"] = extents;
    return parts;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& dout) {
    const Guard guard;
    const auto extents = ctx->saved_data["extents"].toIntVector();
    std::vector<PartSize> sizes;
    std::vector<Tensor> parts;
    for (std::size_t l = 0; l < dout.size(); ++l) {
      sizes.push_back({extents[4 + 2 * l], extents[5 + 2 * l]});
      parts.push_back(dout[l].unsqueeze(0));
    }
    return {joined(parts, sizes, extents[2], extents[3]).squeeze(0), Tensor()};
  }
};

}  // namespace

std::vector<double> LayerStack::constants(const std::vector<std::int64_t>& units) {
  const std::size_t L = units.size() - 1;
  const std::int64_t I = *std::max_element(units.begin(), units.end() - 1);
  const std::int64_t J = *std::max_element(units.begin() + 1, units.end());
  std::vector<double> numbers;
  const auto append = [&](const auto& factor) {
    for (std::size_t l = 0; l < L; ++l)
      numbers.push_back(factor(static_cast<double>(units[l]), static_cast<double>(units[l + 1])));
  };
  append([](double rows, double) { return 1 / rows; });
  append([](double, double columns) { return 1 / columns; });
  append([](double rows, double columns) { return 1 / (rows * columns); });
  append([](double rows, double) { return 1 / std::sqrt(2 * rows); });
  append([](double, double columns) { return 1 / std::sqrt(2 * columns); });
  append([](double, double columns) { return 1 / std::sqrt(columns); });
  const auto append_mask = [&](std::size_t first, std::int64_t extent) {
    for (std::size_t l = 0; l < L; ++l)
      for (std::int64_t i = 0; i < extent; ++i) numbers.push_back(i < units[first + l] ? 1.0 : 0.0);
  };
  append_mask(0, I);
  append_mask(1, J);
  numbers.insert(numbers.end(), {1e-6, 1e-8});
  return numbers;
}

LayerStack::LayerStack(const std::vector<std::int64_t>& all_units, const Tensor& numbers)
    : units(all_units),
      rows(*std::max_element(units.begin(), units.end() - 1)),
      columns(*std::max_element(units.begin() + 1, units.end())) {
  const std::int64_t L = layers();
  std::int64_t first = 0;
  Tensor* const factors[kFactors] = {&per_row, &per_column, &per_entry, &lower, &upper, &root};
  for (auto* factor : factors) {
    *factor = numbers.narrow(0, first, L).view({L, 1, 1, 1});
    first += L;
  }
  const Tensor there_row = numbers.narrow(0, first, L * rows).view({L, 1, rows, 1});
  first += L * rows;
  there_bias = numbers.narrow(0, first, L * columns).view({L, 1, columns, 1});
  there = there_row * there_bias.transpose(2, 3);
  bias_share = there_bias * per_column;
  epsilons = numbers.narrow(0, first + L * columns, 2);
  epsilon = epsilons.narrow(0, 0, 1);
}

bool LayerStack::padded() const {
  return std::any_of(units.begin(), units.end() - 1, [&](std::int64_t n) { return n != rows; }) ||
         std::any_of(units.begin() + 1, units.end(), [&](std::int64_t n) { return n != columns; });
}

namespace {

/// The sizes of all layers, of the first one, and of the rest, if there is one.
std::vector<std::vector<std::int64_t>> units_of_stacks(const std::vector<std::int64_t>& units) {
  std::vector<std::vector<std::int64_t>> stacks = {units, {units[0], units[1]}};
  if (units.size() > 2) stacks.emplace_back(units.begin() + 1, units.end());
  return stacks;
}

}  // namespace

std::vector<double> LayerStacks::constants(const std::vector<std::int64_t>& units) {
  std::vector<double> numbers;
  for (const auto& own : units_of_stacks(units)) {
    const auto some = LayerStack::constants(own);
    numbers.insert(numbers.end(), some.begin(), some.end());
  }
  return numbers;
}

LayerStacks::LayerStacks(const std::vector<std::int64_t>& units, const Tensor& numbers)
    : all(units, numbers) {
  std::int64_t first = 0;
  for (const auto& own : units_of_stacks(units)) {
    if (first > 0) parts.emplace_back(own, numbers.narrow(0, first, numbers.size(0) - first));
    first += static_cast<std::int64_t>(LayerStack::constants(own).size());
  }
}

namespace {

/// A node of autograd's graph, in the pointer that LibTorch keeps it in: std::shared_ptr in versions up to
/// 2.11 at least, c10::intrusive_ptr in 2.15.
template <class Node>
auto make_node() {
  if constexpr (std::is_same_v<decltype(torch::autograd::Edge::function),
                               std::shared_ptr<torch::autograd::Node>>) {
    return std::make_shared<Node>();
  } else {
    return c10::make_intrusive<Node>();
  }
}

}  // namespace

Tensor pack_layers(const std::vector<Tensor>& parts, std::int64_t rows, std::int64_t columns) {
  auto node = make_node<PackBackward>();
  Tensor packed;
  {
    const Guard guard;
    for (const auto& part : parts) node->sizes.push_back({part.size(2), part.size(3)});
    packed = joined(parts, node->sizes, rows, columns);
  }
  if (!c10::GradMode::is_enabled() || !torch::autograd::any_variable_requires_grad(parts)) return packed;
  torch::autograd::edge_list edges;
  for (const auto& part : parts) edges.push_back(torch::autograd::impl::gradient_edge(part));
  node->set_next_edges(std::move(edges));
  torch::autograd::set_history(packed, node);
  return packed;
}

std::vector<Tensor> unpack_layers(const Tensor& packed, const std::vector<PartSize>& sizes) {
  return UnpackLayers::apply(packed, sizes);
}

}  // namespace outerloop::rule::reference
