#include "common/rule/reference/neuron_local.h"

#include <cmath>
#include <string>

namespace outerloop::rule::reference {
namespace {

/// θ by name.
class Named {
 public:
  Named(const Layout& layout, const std::vector<Tensor>& theta) {
    for (std::size_t i = 0; i < theta.size(); ++i) tensors_[layout.tensors()[i].name] = theta[i];
  }
  const Tensor& operator[](const std::string& name) const { return tensors_.at(name); }
  ConvolutionBlock block(const std::string& name) const {
    return {(*this)[name + ".w"], (*this)[name + ".beta"]};
  }

 private:
  std::map<std::string, Tensor> tensors_;
};

const std::vector<const char*> kUpperNames = {"w0.col",        "w1.col",        "rbf.col",
                                              "lin_upper.row", "sqr_upper.row", "lin_upper.col",
                                              "sqr_upper.col", "lin_upper_psd"};
const std::vector<const char*> kLowerNames = {
    "w0.row", "w1.row", "rbf.row", "lin_lower.row", "sqr_lower.row", "lin_lower.col", "sqr_lower.col"};

/// Appends the readouts' weights [G, C] and biases [G] of one role.
void append_readouts(const Named& theta, const std::string& prefix, const std::vector<const char*>& names,
                     std::vector<Tensor>& w, std::vector<Tensor>& bias) {
  for (const char* name : names) {
    w.push_back(theta[prefix + "readout." + name + ".w"].t());
    bias.push_back(theta[prefix + "readout." + name + ".b"]);
  }
}

/// mean |w|, sqrt(mean w² + 1e-6), mean w, sqrt(var w + 1e-8) over `axis`: [units, 4].
Tensor weight_statistics(const Tensor& w, std::int64_t axis) {
  const Tensor mean = w.mean({axis}, true);
  const Tensor centred = w - mean;
  return at::stack({w.abs().mean({axis}), ((w * w).mean({axis}) + 1e-6).sqrt(), mean.squeeze(axis),
                    ((centred * centred).mean({axis}) + 1e-8).sqrt()},
                   1);
}

}  // namespace

NeuronLocal::NeuronLocal(const NeuronLocalSize& size, const Layout& layout,
                         const std::vector<Tensor>& tensors)
    : size_(size) {
  const Named theta(layout, tensors);
  const std::int64_t D = size.delta_channels;
  top_in_ = theta.block("top.in");
  top_mix_[0] = theta.block("top.mix.0");
  top_mix_[1] = theta.block("top.mix.1");
  for (std::int64_t i = 0; i < size.top_layers; ++i)
    top_blocks_.push_back(theta.block("top.block." + std::to_string(i)));
  top_out_w_ = theta["top.out.w"];
  top_out_b_ = theta["top.out.b"];

  // Channels of hidden.in: s (8), b, x, z, sin, cos, d (D). Those of x, z, d vary along the batch.
  const auto in = theta["hidden.in.w"].split_with_sizes({9, 2, 2, D}, 1);
  const auto beta = theta["hidden.features.beta"].split_with_sizes({2, 2, D});
  beta_varying_ = at::cat({beta[0], beta[2]});
  beta_identity_ = beta[1];
  in_constant_ = at::cat({in[0], in[2]}, 1).permute({1, 0, 2}).reshape({11, 3 * size.hidden_channels});
  hidden_.push_back({{at::cat({in[1], in[3]}, 1), theta["hidden.in.beta"]},
                     theta.block("hidden.in.unit.0"),
                     theta.block("hidden.in.unit.1")});
  for (std::int64_t i = 0; i < size.hidden_blocks; ++i) {
    const std::string name = "hidden.block." + std::to_string(i);
    hidden_.push_back({theta.block(name), theta.block(name + ".unit.0"), theta.block(name + ".unit.1")});
  }
  delta_w_ = theta["delta.w"];
  delta_b_ = theta["delta.b"];

  std::vector<std::string> prefixes = {""};
  if (size.separate_backward_readouts) prefixes.push_back("backward.");
  std::vector<Tensor> upper_w, upper_b, lower_w, lower_b;
  for (const auto& prefix : prefixes) {
    append_readouts(theta, prefix, kUpperNames, upper_w, upper_b);
    append_readouts(theta, prefix, kLowerNames, lower_w, lower_b);
  }
  read_lower_ = {at::cat(lower_w), at::cat(lower_b)};
  read_both_.bias = at::cat({at::cat(upper_b), read_lower_.bias});
  const Tensor bias_row = theta["bias.w"].t();
  read_upper_ = {at::cat({at::cat(upper_w), bias_row}), at::cat(upper_b)};
  read_both_.w = at::cat({at::cat(upper_w), read_lower_.w, bias_row});
  bias_b_ = theta["bias.b"];
  merge_ = {theta["merge.w"], theta["merge.b"]};
  if (size.separate_backward_readouts)
    backward_merge_ = {theta["backward.merge.w"], theta["backward.merge.b"]};
}

Tensor NeuronLocal::top_error(const Tensor& features) const {
  Tensor a = conv_bn_relu(features.unsqueeze(2), top_in_, Axis::batch);  // [N_L, B, T]
  a = a.permute({2, 1, 0}).contiguous();  // [T, B, N_L]: the units are the channels
  for (const auto& mix : top_mix_) a = conv_bn_relu(a, mix, Axis::batch);
  a = a.permute({2, 1, 0}).contiguous();
  for (const auto& block : top_blocks_) a = conv_bn_relu(a, block, Axis::batch);
  return convolution(a, top_out_w_, top_out_b_);
}

const Tensor& NeuronLocal::identity(std::int64_t units, const at::TensorOptions& options) const {
  auto& kept = identities_[units];
  if (!kept.defined()) {
    const Tensor id = at::linspace(0.0, 4 * M_PI, units, options);
    const Tensor waves = at::stack({id.sin(), id.cos()}, 1);
    const Tensor centred = waves - waves.mean({0}, true);
    kept = centred / ((centred * centred).mean({0}, true) + kBatchNormEpsilon).sqrt();
  }
  return kept;
}

Tensor NeuronLocal::hidden_state(const Phi& phi, std::int64_t l, const Tensor& x, const Tensor& z,
                                 const Tensor& d) const {
  const auto i = static_cast<std::size_t>(l);
  const std::int64_t units = x.size(0);
  // At the top and at the bottom only one matrix exists: its statistics are used twice.
  const Tensor incoming = l > 0 ? weight_statistics(phi.W[i - 1], 0) : Tensor();
  const Tensor outgoing = l < phi.layers() ? weight_statistics(phi.W[i], 1) : Tensor();
  const Tensor s =
      at::cat({incoming.defined() ? incoming : outgoing, outgoing.defined() ? outgoing : incoming}, 1);
  const Tensor b = l > 0 ? phi.b[i - 1].unsqueeze(1) : at::zeros({units, 1}, x.options());
  const Tensor constant =
      at::cat({rms_normalise(s, {0, 1}, 1e-6), b, identity(units, x.options()) + beta_identity_}, 1);

  const Tensor varying = batch_norm(at::cat({x.unsqueeze(2), z.unsqueeze(2), d}, 2), beta_varying_);
  Tensor a = conv_bn_relu(varying, hidden_[0].in, Axis::batch, at::mm(constant, in_constant_));
  a = unit_block(a, hidden_[0].unit0, hidden_[0].unit1);
  for (std::size_t block = 1; block < hidden_.size(); ++block) {
    a = conv_bn_relu(a, hidden_[block].in, Axis::batch);
    a = unit_block(a, hidden_[block].unit0, hidden_[block].unit1);
  }
  return a;
}

NeuronLocal::LayerReadouts NeuronLocal::read_layer(const Tensor& h, bool upper, bool lower) const {
  const std::int64_t G = size_.readout_channels;
  const double scale = 1.0 / std::sqrt(static_cast<double>(G * h.size(1)));
  const auto& weights = upper ? (lower ? read_both_ : read_upper_) : read_lower_;
  const auto all = readouts(h, weights.w, weights.bias, G, scale, upper);
  std::vector<std::int64_t> counts;
  const int matrices = size_.separate_backward_readouts ? 2 : 1;
  if (upper) counts.insert(counts.end(), static_cast<std::size_t>(matrices), kUpperReadouts);
  if (lower) counts.insert(counts.end(), static_cast<std::size_t>(matrices), kLowerReadouts);
  auto part = all.rows.split_with_sizes(counts);
  LayerReadouts result;
  std::size_t next = 0;
  if (upper) result.upper = part[next++];
  if (upper && matrices == 2) result.backward_upper = part[next++];
  if (lower) result.lower = part[next++];
  if (lower && matrices == 2) result.backward_lower = part[next++];
  result.bias_mean = all.mean;
  return result;
}

Tensor NeuronLocal::bias_change(const Tensor& mean) const {
  // Δb = mean + bias.b, then + relu(−mean_i Δb). Where that mean is negative, bias.b cancels: it is left out
  // there, so that the value is the same and its gradient is exactly zero.
  const Tensor average = mean.mean();
  const Tensor change = mean + at::where((average + bias_b_) < 0, -average.unsqueeze(0), bias_b_);
  return rms_normalise(change, {0}, 0.5);
}

Phi NeuronLocal::step(const Phi& phi, const Tensor& x, Nonlinearity kind, StepTrace* trace) const {
  const std::int64_t L = phi.layers();
  const auto count = static_cast<std::size_t>(L) + 1;
  const Forward f = forward(phi, x, kind);
  std::vector<Tensor> d(count), delta(count), h(count), standard(count);
  std::vector<LayerReadouts> read(count);

  // Down the layers: the hidden state of every neuron, and the error signal of the layer below.
  d.back() = top_error(f.x.back());
  for (std::int64_t l = L; l >= 0; --l) {
    const auto i = static_cast<std::size_t>(l);
    h[i] = hidden_state(phi, l, f.x[i], f.z[i], d[i]);
    read[i] = read_layer(h[i], l > 0, l < L);
    standard[i] = standardise(f.x[i]);
    if (l == 0) break;
    const Tensor linear = at::addmm(delta_b_, h[i].flatten(0, 1), delta_w_).view(d[i].sizes());
    delta[i] = at::addcmul(linear, d[i], f.z[i].sigmoid().unsqueeze(2));
    const Tensor lower = at::mm(phi.V[i - 1], delta[i].flatten(1, 2)).view({-1, d[i].size(1), d[i].size(2)});
    d[i - 1] = rms_normalise(lower, {2}, 1e-6);
  }

  const double eta = size_.inner_step_size;
  const auto updated = [&](const Tensor& value, const Tensor& change) {
    return at::add(value * (1 - eta), change, -eta);
  };
  if (trace) {
    *trace = {f, d, delta, h, {}, {}, {}, {}};
    for (auto* list : {&trace->terms, &trace->delta_W, &trace->delta_V, &trace->delta_b}) list->resize(count);
  }
  Phi next;
  for (std::size_t i = 1; i < count; ++i) {
    const LayerPair pair{read[i].upper, read[i - 1].lower, standard[i], standard[i - 1]};
    const auto dW = weight_change(phi.W[i - 1], pair, merge_);
    Tensor dV = dW.delta;
    if (size_.separate_backward_readouts) {
      const LayerPair own{read[i].backward_upper, read[i - 1].backward_lower, standard[i], standard[i - 1]};
      dV = weight_change(phi.V[i - 1], own, backward_merge_).delta;
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
