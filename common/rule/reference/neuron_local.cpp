#include "common/rule/reference/neuron_local.h"

#include <cmath>

#include "common/rule/reference/blocks.h"

namespace outerloop::rule::reference {

NeuronLocal::NeuronLocal(const NeuronLocalSize& size, const PackedTheta& packed,
                         const std::vector<Tensor>& groups, const LayerStack& stack)
    : plan_{size,
            &packed,
            NormConstants(groups.front().options().requires_grad(false)),
            at::zeros({1, 1}, groups.front().options().requires_grad(false)),
            {}},
      stack_(stack),
      groups_(groups) {}

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
  const Tensor constant = at::cat({rms_normalise(s, {1, 2}, stack_.epsilon), b}, 2);
  return hidden_network(plan_, x, z, d, constant, identity(units), theta(Group::hidden));
}

WeightChange NeuronLocal::changes(const Tensor& W, const std::vector<Readouts>& read, std::size_t matrix,
                                  const Tensor& x) const {
  std::vector<Tensor> lower, upper;
  for (std::size_t l = 1; l < read.size(); ++l) {
    lower.push_back(read[l - 1].lower[matrix]);
    upper.push_back(read[l].upper[matrix]);
  }
  const std::int64_t GB = lower.front().size(3);
  return weight_change(W, {pack_layers(upper, stack_.columns, GB), pack_layers(lower, stack_.rows, GB), x},
                       theta(matrix == 0 ? Group::merge : Group::backward_merge), stack_);
}

namespace {

/// Tensors [S, rows, columns] of all layers as one [layers, S, rows, columns].
Tensor packed_matrices(const std::vector<Tensor>& list, std::int64_t rows, std::int64_t columns) {
  std::vector<Tensor> parts;
  for (const auto& tensor : list) parts.push_back(tensor.unsqueeze(0));
  return pack_layers(parts, rows, columns).squeeze(0);
}

Tensor as_column(const Tensor& t) { return t.unsqueeze(2); }

StepTrace make_trace(const Forward& f, const std::vector<Tensor>& d, const std::vector<Tensor>& delta,
                     const std::vector<Tensor>& h, const Tensor& terms, const std::vector<Tensor>& dW,
                     const std::vector<Tensor>& dV, const std::vector<Tensor>& db) {
  StepTrace trace{f, d, delta, h, {Tensor()}, {Tensor()}, {Tensor()}, {Tensor()}};
  for (std::size_t i = 0; i < dW.size(); ++i) {
    trace.terms.push_back(terms.select(1, static_cast<std::int64_t>(i))
                              .narrow(2, 0, dW[i].size(1))
                              .narrow(3, 0, dW[i].size(2)));
    trace.delta_W.push_back(dW[i]);
    trace.delta_V.push_back(dV[i]);
    trace.delta_b.push_back(db[i].squeeze(2));
  }
  return trace;
}

}  // namespace

Phi NeuronLocal::step(const Phi& phi, const Tensor& x, Nonlinearity kind, StepTrace* trace) const {
  const std::int64_t L = phi.layers();
  const auto count = static_cast<std::size_t>(L) + 1;
  const Forward f = forward(phi, x, kind);
  std::vector<Tensor> d(count), delta(count), h(count), means;
  std::vector<Readouts> read(count);
  const Tensor W = packed_matrices(phi.W, stack_.rows, stack_.columns);
  const auto statistics = weight_statistics(W, stack_);

  // From the top layer down: the hidden state of every neuron, and the error signal of the layer below.
  d.back() = top_network(plan_, f.x.back(), theta(Group::top));
  for (std::int64_t l = L; l >= 0; --l) {
    const auto i = static_cast<std::size_t>(l);
    h[i] = hidden_state(phi, statistics, l, f.x[i], f.z[i], d[i]);
    read[i] = read_hidden(plan_, h[i], theta(Group::read), {l > 0, l < L});
    if (l == 0) break;
    delta[i] = error_signal(read[i].linear, d[i], f.z[i]);
    const Tensor lower = at::bmm(phi.V[i - 1], delta[i].flatten(2, 3));
    d[i - 1] = rms_normalise(lower.view({lower.size(0), lower.size(1), d[i].size(2), d[i].size(3)}), {3},
                             stack_.epsilon);
  }

  // The changes of all layers at once
  const Tensor activations =
      standardise_for_sums(packed_matrices(f.x, stack_.most, x.size(2)), stack_.epsilon);
  const auto change_W = changes(W, read, 0, activations);
  std::vector<PartSize> sizes, columns;
  for (std::size_t i = 1; i < count; ++i) {
    means.push_back(as_column(read[i].mean));
    sizes.push_back({phi.W[i - 1].size(1), phi.W[i - 1].size(2)});
    columns.push_back({phi.W[i - 1].size(2), 1});
  }
  const auto dW = unpack_layers(change_W.delta, sizes);
  auto dV = dW;
  if (plan_.size.separate_backward_readouts) {
    const Tensor V = packed_matrices(phi.V, stack_.rows, stack_.columns);
    dV = unpack_layers(changes(V, read, 1, activations).delta, sizes);
  }
  const Tensor mean = packed_matrices(means, stack_.columns, 1);
  const auto db = unpack_layers(bias_change(mean, theta(Group::bias), stack_), columns);

  const double eta = plan_.size.inner_step_size;
  const auto updated = [&](const Tensor& value, const Tensor& change) {
    return at::add(value * (1 - eta), change, -eta);
  };
  Phi next;
  for (std::size_t i = 0; i < dW.size(); ++i) {
    next.W.push_back(updated(phi.W[i], dW[i]));
    next.b.push_back(updated(phi.b[i], db[i].squeeze(2)));
    next.V.push_back(updated(phi.V[i], dV[i]));
  }
  if (trace) *trace = make_trace(f, d, delta, h, change_W.terms, dW, dV, db);
  return next;
}

}  // namespace outerloop::rule::reference
