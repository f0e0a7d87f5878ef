#include "common/rule/reference/neuron_local.h"

#include <cmath>

#include "common/rule/reference/blocks.h"

namespace outerloop::rule::reference {

NeuronLocal::NeuronLocal(const NeuronLocalSize& size, const PackedTheta& packed,
                         const std::vector<Tensor>& groups)
    : plan_{size, &packed, norm_exponents(groups.front().options().requires_grad(false))}, groups_(groups) {}

const Tensor& NeuronLocal::identity(std::int64_t units) const {
  auto& kept = identities_[units];
  if (!kept.defined()) {
    const auto n = static_cast<double>(units);
    const Tensor id = at::linspace(0.0, 4 * M_PI, units, plan_.exponents.options());
    const Tensor waves = at::stack({id.sin(), id.cos()}, 1);
    const Tensor centred = at::add(waves, waves.sum({0}, true), -1 / n);
    kept = centred * ((centred * centred).sum({0}, true) * (1 / n) + kBatchNormEpsilon).rsqrt();
  }
  return kept;
}

Tensor NeuronLocal::hidden_state(const Phi& phi, const std::vector<WeightStatistics>& statistics,
                                 std::int64_t l, const Tensor& x, const Tensor& z, const Tensor& d) const {
  const auto i = static_cast<std::size_t>(l);
  const std::int64_t lanes = x.size(0), units = x.size(1), L = phi.layers();
  // At the top and at the bottom only one matrix exists: its statistics are used twice.
  const Tensor& incoming = l > 0 ? statistics[i - 1].columns : statistics[i].rows;
  const Tensor& outgoing = l < L ? statistics[i].rows : statistics[i - 1].columns;
  const Tensor s = at::cat({incoming, outgoing}, 2);
  const Tensor b = l > 0 ? phi.b[i - 1].unsqueeze(2) : at::zeros({lanes, units, 1}, x.options());
  const Tensor constant = at::cat({rms_normalise(s, {1, 2}, 1e-6), b}, 2);
  return hidden_network(plan_, x, z, d, constant, identity(units), theta(Group::hidden));
}

NeuronLocal::LayerReadouts NeuronLocal::read_layer(const Tensor& h, Roles roles) const {
  const auto all = read_hidden(plan_, h, theta(Group::read), roles);
  std::vector<std::int64_t> counts;
  const int matrices = plan_.size.separate_backward_readouts ? 2 : 1;
  if (roles.lower) counts.insert(counts.end(), static_cast<std::size_t>(matrices), kLowerReadouts);
  if (roles.upper) counts.insert(counts.end(), static_cast<std::size_t>(matrices), kUpperReadouts);
  auto part = all.rows.split_with_sizes(counts);
  LayerReadouts result;
  std::size_t next = 0;
  if (roles.lower) result.lower = part[next++];
  if (roles.lower && matrices == 2) result.backward_lower = part[next++];
  if (roles.upper) result.upper = part[next++];
  if (roles.upper && matrices == 2) result.backward_upper = part[next++];
  result.bias_mean = all.mean;
  result.linear = all.linear;
  return result;
}

Tensor NeuronLocal::bias_change(const Tensor& mean) const {
  // Δb = mean + bias.b, then + relu(−mean_i Δb). Where that mean is negative, bias.b cancels: it is left out
  // there, so that the value is the same and its gradient is exactly zero.
  const Tensor average = mean.sum({1}, true) * (1 / static_cast<double>(mean.size(1))),
               bias = theta(Group::bias);
  const Tensor negative = ((average + bias).detach() < 0).to(mean.scalar_type());
  const Tensor change = mean + (bias * (1 - negative) - average * negative);
  return rms_normalise(change, {1}, 0.5);
}

Merge NeuronLocal::merge(Group group) const {
  return {theta(group).narrow(1, 0, 12), theta(group).narrow(1, 12, 1)};
}

Phi NeuronLocal::step(const Phi& phi, const Tensor& x, Nonlinearity kind, StepTrace* trace) const {
  const std::int64_t L = phi.layers();
  const auto count = static_cast<std::size_t>(L) + 1;
  const Forward f = forward(phi, x, kind);
  std::vector<Tensor> d(count), delta(count), h(count), standard(count);
  std::vector<LayerReadouts> read(count);

  std::vector<WeightStatistics> statistics;
  for (const auto& W : phi.W) statistics.push_back(weight_statistics(W));

  // Down the layers: the hidden state of every neuron, and the error signal of the layer below.
  d.back() = top_network(plan_, f.x.back(), theta(Group::top));
  for (std::int64_t l = L; l >= 0; --l) {
    const auto i = static_cast<std::size_t>(l);
    h[i] = hidden_state(phi, statistics, l, f.x[i], f.z[i], d[i]);
    read[i] = read_layer(h[i], {l > 0, l < L});
    standard[i] = standardise(f.x[i], 1e-6);
    if (l == 0) break;
    delta[i] = error_signal(read[i].linear, d[i], f.z[i]);
    const Tensor lower = at::bmm(phi.V[i - 1], delta[i].flatten(2, 3));
    d[i - 1] =
        rms_normalise(lower.view({lower.size(0), lower.size(1), d[i].size(2), d[i].size(3)}), {3}, 1e-6);
  }

  const double eta = plan_.size.inner_step_size;
  const auto updated = [&](const Tensor& value, const Tensor& change) {
    return at::add(value * (1 - eta), change, -eta);
  };
  if (trace) {
    *trace = {f, d, delta, h, {}, {}, {}, {}};
    for (auto* list : {&trace->terms, &trace->delta_W, &trace->delta_V, &trace->delta_b}) list->resize(count);
  }
  Phi next;
  const Merge merge_W = merge(Group::merge);
  for (std::size_t i = 1; i < count; ++i) {
    const LayerPair pair{read[i].upper, read[i - 1].lower, standard[i], standard[i - 1]};
    const auto dW = weight_change(phi.W[i - 1], pair, merge_W);
    Tensor dV = dW.delta;
    if (plan_.size.separate_backward_readouts) {
      const LayerPair own{read[i].backward_upper, read[i - 1].backward_lower, standard[i], standard[i - 1]};
      dV = weight_change(phi.V[i - 1], own, merge(Group::backward_merge)).delta;
    }
    const Tensor db = bias_change(read[i].bias_mean);
    next.W.push_back(updated(phi.W[i - 1], dW.delta));
    next.b.push_back(updated(phi.b[i - 1], db));
    next.V.push_back(updated(phi.V[i - 1], dV));
    if (!trace) continue;
    trace->terms[i] = dW.terms;
    trace->delta_W[i] = dW.delta;
    trace->delta_V[i] = dV;
    trace->delta_b[i] = db;
  }
  return next;
}

}  // namespace outerloop::rule::reference
