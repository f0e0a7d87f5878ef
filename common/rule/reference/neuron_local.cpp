#include "common/rule/reference/neuron_local.h"

#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

#include "common/rule/reference/blocks.h"

namespace outerloop::rule::reference {

NeuronLocal::NeuronLocal(const NeuronLocalSize& size, const PackedTheta& packed,
                         const std::vector<Tensor>& groups, const LayerStacks& stacks)
    : plan_{size, &packed, {}, {}, {}}, stacks_(stacks), groups_(groups) {
  const auto options = groups.front().options().requires_grad(false);
  const std::int64_t channels =
      std::max({size.hidden_channels, size.top_channels, size.delta_channels + 2, size.output_units});
  plan_.ones = at::ones({groups.front().size(0) * channels}, options);
  plan_.zero = at::zeros({1, 1}, options);
}

const Tensor& NeuronLocal::identity(std::int64_t units) const {
  auto& kept = identities_[units];
  if (!kept.defined()) {
    const auto n = static_cast<double>(units);
    const Tensor id = at::linspace(0.0, 4 * M_PI, units, plan_.zero.options());
    const Tensor waves = at::stack({id.sin(), id.cos()}, 1);
    const Tensor centred = at::add(waves, waves.sum({0}, true), -1 / n);
    const Tensor offset = plan_.packed->hidden().beta_identity.of(theta(Group::hidden).detach());
    kept = centred * ((centred * centred).sum({0}, true) * (1 / n) + kBatchNormEpsilon).rsqrt() + offset;
  }
  return kept;
}

Tensor NeuronLocal::hidden_state(const Phi& phi, const WeightStatistics& statistics, std::int64_t l,
                                 const Tensor& x, const Tensor& z, const Tensor& d) const {
  const auto i = static_cast<std::size_t>(l);
  const std::int64_t lanes = x.size(0), units = x.size(1), L = phi.layers();
  // The top and the bottom layer have only one matrix, whose statistics are used twice.
  const Tensor& incoming = l > 0 ? statistics.columns[i - 1] : statistics.rows[i];
  const Tensor& outgoing = l < L ? statistics.rows[i] : statistics.columns[i - 1];
  const Tensor s = at::cat({incoming, outgoing}, 2);
  const Tensor b = l > 0 ? phi.b[i - 1].unsqueeze(2) : at::zeros({lanes, units, 1}, x.options());
  const Tensor constant = at::cat({rms_normalise(s, {1, 2}, stacks_.all.epsilon), b}, 2);
  return hidden_network(plan_, x, z, d, constant, identity(units), theta(Group::hidden));
}

WeightChange NeuronLocal::changes(const LayerStack& stack, const Tensor& W, const std::vector<Readouts>& read,
                                  std::size_t matrix, LayerPairs pairs) const {
  std::vector<Tensor> lower, upper;
  const auto first = static_cast<std::size_t>(pairs.first);
  for (std::size_t l = first + 1; l < first + stack.units.size(); ++l) {
    lower.push_back(read[l - 1].lower[matrix]);
    upper.push_back(read[l].upper[matrix]);
  }
  const std::int64_t GB = lower.front().size(3);
  pairs.upper = pack_layers(upper, stack.columns, GB);
  pairs.lower = pack_layers(lower, stack.rows, GB);
  return weight_change(W, pairs, theta(matrix == 0 ? Group::merge : Group::backward_merge), stack);
}

namespace {

/// `count` tensors [S, rows, columns] from `first` on as one [count, S, rows, columns].
Tensor packed_matrices(const std::vector<Tensor>& list, std::int64_t first, std::int64_t count,
                       std::int64_t rows, std::int64_t columns) {
  std::vector<Tensor> parts;
  for (std::int64_t l = first; l < first + count; ++l)
    parts.push_back(list[static_cast<std::size_t>(l)].unsqueeze(0));
  return pack_layers(parts, rows, columns).squeeze(0);
}

Tensor packed_matrices(const std::vector<Tensor>& list, std::int64_t first, const LayerStack& stack) {
  return packed_matrices(list, first, stack.layers(), stack.rows, stack.columns);
}

template <class T>
void append(std::vector<T>& list, const std::vector<T>& more) {
  list.insert(list.end(), more.begin(), more.end());
}

Tensor as_column(const Tensor& t) { return t.unsqueeze(2); }

StepTrace make_trace(const Forward& f, const std::vector<Tensor>& d, const std::vector<Tensor>& delta,
                     const std::vector<Tensor>& h, const std::vector<Tensor>& terms,
                     const std::vector<Tensor>& dW, const std::vector<Tensor>& dV,
                     const std::vector<Tensor>& db) {
  StepTrace trace{f, {}, {Tensor()}, {}, {Tensor()}, {Tensor()}, {Tensor()}, {Tensor()}};
  for (std::size_t l = 0; l < h.size(); ++l) {
    trace.d.push_back(d[l].transpose(2, 3));
    trace.h.push_back(h[l].permute({0, 2, 3, 1}));
    if (l > 0) trace.delta.push_back(delta[l].transpose(2, 3));
  }
  append(trace.terms, terms);
  append(trace.delta_W, dW);
  append(trace.delta_V, dV);
  for (const auto& change : db) trace.delta_b.push_back(change.squeeze(2));
  return trace;
}

}  // namespace

NeuronLocal::Changes NeuronLocal::all_changes(const Phi& phi, const std::vector<Tensor>& W,
                                              const std::vector<Readouts>& read, const Forward& f) const {
  LayerPairs pairs;
  {
    const c10::NoGradGuard constant;
    pairs.inputs = standardise_for_sums(f.x.front(), stacks_.all.epsilon).unsqueeze(0);
  }
  const LayerStack& all = stacks_.all;
  pairs.x =
      standardise_for_sums(packed_matrices(f.x, 1, all.layers(), all.columns, f.x[0].size(2)), all.epsilon);
  Changes result;
  for (std::size_t i = 0; i < stacks_.parts.size(); ++i) {
    const LayerStack& stack = stacks_.parts[i];
    pairs.first = static_cast<std::int64_t>(i);  // the first stack has one layer
    std::vector<PartSize> sizes;
    for (std::int64_t l = 0; l < stack.layers(); ++l) sizes.push_back({stack.inputs(l), stack.outputs(l)});
    const auto change = changes(stack, W[i], read, 0, pairs);
    const auto dW = unpack_layers(change.delta, sizes);
    append(result.W, dW);
    for (std::size_t l = 0; l < sizes.size(); ++l)
      result.terms.push_back(change.terms.select(1, static_cast<std::int64_t>(l))
                                 .narrow(2, 0, sizes[l].rows)
                                 .narrow(3, 0, sizes[l].columns));
    if (plan_.size.separate_backward_readouts) {
      const Tensor V = packed_matrices(phi.V, pairs.first, stack);
      append(result.V, unpack_layers(changes(stack, V, read, 1, pairs).delta, sizes));
    } else {
      append(result.V, dW);
    }
  }
  std::vector<Tensor> means;
  std::vector<PartSize> columns;
  for (std::int64_t l = 0; l < all.layers(); ++l) {
    means.push_back(as_column(read[static_cast<std::size_t>(l) + 1].mean));
    columns.push_back({all.outputs(l), 1});
  }
  const Tensor mean = packed_matrices(means, 0, all.layers(), all.columns, 1);
  result.b = unpack_layers(bias_change(mean, theta(Group::bias), all), columns);
  return result;
}

Phi NeuronLocal::step(const Phi& phi, const Tensor& x, Nonlinearity kind, StepTrace* trace) const {
  const std::int64_t L = phi.layers();
  const auto count = static_cast<std::size_t>(L) + 1;
  const Forward f = forward(phi, x, kind);
  std::vector<Tensor> d(count), delta(count), h(count), W;
  std::vector<Readouts> read(count);
  WeightStatistics statistics;
  for (std::size_t i = 0; i < stacks_.parts.size(); ++i) {
    W.push_back(packed_matrices(phi.W, static_cast<std::int64_t>(i), stacks_.parts[i]));
    const auto own = weight_statistics(W.back(), stacks_.parts[i]);
    append(statistics.columns, own.columns);
    append(statistics.rows, own.rows);
  }

  // From the top layer down: the hidden state of every neuron, and the error signal of the layer below.
  d.back() = top_network(plan_, f.x.back(), theta(Group::top));
  for (std::int64_t l = L; l >= 0; --l) {
    const auto i = static_cast<std::size_t>(l);
    h[i] = hidden_state(phi, statistics, l, f.x[i], f.z[i], d[i]);
    read[i] = read_hidden(plan_, h[i], theta(Group::read), {l > 0, l < L});
    if (l == 0) break;
    delta[i] = error_signal(read[i].linear, d[i], f.z[i]);
    const Tensor lower = at::bmm(phi.V[i - 1], delta[i].flatten(2, 3));
    d[i - 1] = rms_normalise(lower.view({lower.size(0), lower.size(1), d[i].size(2), d[i].size(3)}), {2},
                             stacks_.all.epsilon);
  }

  const Changes change = all_changes(phi, W, read, f);
  const double eta = plan_.size.inner_step_size;
  const auto updated = [&](const Tensor& value, const Tensor& by) {
    return at::add(value * (1 - eta), by, -eta);
  };
  Phi next;
  for (std::size_t i = 0; i < change.W.size(); ++i) {
    next.W.push_back(updated(phi.W[i], change.W[i]));
    next.b.push_back(updated(phi.b[i], change.b[i].squeeze(2)));
    next.V.push_back(updated(phi.V[i], change.V[i]));
  }
  if (trace) *trace = make_trace(f, d, delta, h, change.terms, change.W, change.V, change.b);
  return next;
}

}  // namespace outerloop::rule::reference
