#include "common/rule/reference/weight_change.h"

#include <ATen/ScalarOps.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <vector>

namespace outerloop::rule::reference {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;
using Guard = at::AutoDispatchBelowADInplaceOrView;

// Slots of the terms, in the order of kMergeOrder: products with matrices of the upper layer from the right
// (0 to 3), with matrices of the lower layer from the left (4, 5), products of both layers' readouts (6 to
// 8), and the rest.
constexpr std::int64_t kDecorrelate = 1, kSqrUpper = 3, kBelow = 4, kSqrLower = 5, kDirect = 6,
                       kFirstOrder = 7, kRbf = 8, kHebb = 9, kDecay = 10, kBase = 11;

/// The merged terms stay 12 times too large, so that one factor covers both divisions of the rule.
const double kMergedFactor = 1 / (12 * std::sqrt(12.0));

/// [..., rows, columns] as one batch of matrices.
Tensor batch(const Tensor& t) { return t.flatten(0, -3); }
Tensor range(const Tensor& t, std::int64_t first, std::int64_t count) { return t.narrow(0, first, count); }
Tensor transposed(const Tensor& t) { return t.transpose(-1, -2); }

/// out = a b, matrix by matrix.
void product(const Tensor& out, const Tensor& a, const Tensor& b) {
  Tensor target = batch(out);
  at::bmm_out(target, batch(a), batch(b));
}

/// factor * (r + rᵀ) with a zero diagonal.
Tensor symmetric(const Tensor& r, const Tensor& factor) {
  const Tensor s = at::add(r, transposed(r)).mul_(factor);
  s.diagonal(0, -2, -1).zero_();
  return s;
}

/// The stack and the place of its layers in the base model.
struct Layers {
  const LayerStack* stack = nullptr;
  std::int64_t first = 0;

  /// Of x^1 .. [layers, S, units, B]: those of the upper layers [L, S, J, B], and those of the lower ones
  /// [L, S, I, B] if these are not the base model's inputs.
  Tensor upper(const Tensor& x) const {
    return x.narrow(0, first, stack->layers()).narrow(2, 0, stack->columns);
  }
  Tensor lower(const Tensor& x) const {
    return x.narrow(0, first - 1, stack->layers()).narrow(2, 0, stack->rows);
  }
};

/// Tensors that the forward pass saves for the adjoint, in order.
enum Kept {
  kLower,
  kUpper,
  kXLower,
  kX,
  kMerge,
  kScale,
  kLeft,
  kRight,
  kSymmetricLower,
  kRoot,
  kSign,
  kGaussian,
  kProducts,
  kTermsKept,
  kKappa,
  kNorms,
  kAlpha,
  kMerged,
  kAlong,
  kOut,
  kOutScale,
  kKeptTensors
};

struct WeightChangeNode : Function<WeightChangeNode> {
  /// 1 / sqrt(epsilon + Σ over dims of t² share).
  static Tensor inverse_norm(const Tensor& t, at::IntArrayRef dims, const Tensor& share, double epsilon) {
    return at::mul(t, t).sum(dims, true).mul_(share).add_(epsilon).rsqrt_();
  }

  /// The factors of the products: w and q on the left, the matrices on the right, and S_lower.
  static void make_factors(const Layers& layers, const Tensor& W, std::vector<Tensor>& kept) {
    const LayerStack& n = *layers.stack;
    const auto options = W.options();
    const Tensor &lower = kept[kLower], &upper = kept[kUpper];
    kept[kScale] = inverse_norm(W, {2}, n.per_row, 1e-6);
    // Left factors: w, w, w, q with q = sqrt(1 + w²) - 1
    const Tensor left = at::empty({4, n.layers(), W.size(1), n.rows, n.columns}, options);
    Tensor w = left.select(0, 2), q = left.select(0, 3);
    at::mul_out(w, W, kept[kScale]);
    range(left, 0, 2).copy_(w);
    at::mul_out(q, w, w);
    kept[kGaussian] = q.neg().exp_();
    kept[kRoot] = (q + 1).sqrt_();
    at::sub_out(q, kept[kRoot], c10::scalar_to_tensor(1.0));
    kept[kLeft] = left;
    kept[kSign] = w.sign();

    const Tensor right = at::empty({4, n.layers(), W.size(1), n.columns, n.columns}, options);
    const Tensor x = layers.upper(kept[kX]);
    product(right.select(0, 0), upper.select(0, 7), transposed(upper.select(0, 7)));
    product(right.select(0, 1), x, transposed(x));
    range(right, 0, 2).mul_(n.root);
    const auto symmetric_products = [](const Tensor& readouts) {
      const Tensor products = at::bmm(batch(range(readouts, 3, 2)), transposed(batch(range(readouts, 5, 2))));
      const std::int64_t units = readouts.size(3);
      return products.view({2, readouts.size(1), readouts.size(2), units, units});
    };
    const Tensor R_upper = symmetric_products(upper);
    Tensor S_upper = range(right, 2, 2);
    at::add_out(S_upper, R_upper, transposed(R_upper));
    S_upper.mul_(n.upper).diagonal(0, -2, -1).zero_();
    kept[kRight] = right;
    kept[kSymmetricLower] = symmetric(symmetric_products(lower), n.lower);
  }

  static void make_terms(const Layers& layers, std::vector<Tensor>& kept) {
    const LayerStack& n = *layers.stack;
    const Tensor &lower = kept[kLower], &upper = kept[kUpper], &left = kept[kLeft];
    const Tensor w = left.select(0, 2),
                 terms = at::empty({12, w.size(0), w.size(1), n.rows, n.columns}, w.options());
    product(range(terms, 0, 4), left, kept[kRight]);
    product(range(terms, kBelow, 2), kept[kSymmetricLower], range(left, 2, 2));
    kept[kProducts] = at::bmm(batch(range(lower, 0, 3)), transposed(batch(range(upper, 0, 3))))
                          .view({3, w.size(0), w.size(1), n.rows, n.columns});
    terms.select(0, kDirect).copy_(kept[kProducts].select(0, 0));
    Tensor slot = terms.select(0, kFirstOrder);
    at::mul_out(slot, kept[kProducts].select(0, 1), w);
    slot = terms.select(0, kRbf);
    at::mul_out(slot, kept[kProducts].select(0, 2), kept[kGaussian]);
    product(terms.select(0, kHebb), kept[kXLower], transposed(layers.upper(kept[kX])));
    terms.select(0, kHebb).neg_();
    slot = terms.select(0, kDecay);
    at::mul_out(slot, w, w).mul_(kept[kSign]);
    terms.select(0, kBase).copy_(w);
    for (const auto signed_slot : {kSqrUpper, kSqrLower}) terms.select(0, signed_slot).mul_(kept[kSign]);
    const Tensor c = terms.select(0, kDecorrelate);
    kept[kKappa] = inverse_norm(c, {2, 3}, n.per_entry, 1e-8);
    c.mul_(kept[kKappa]);
    kept[kTermsKept] = terms;
  }

  static variable_list forward(AutogradContext* ctx, const Tensor& W, const Tensor& lower,
                               const Tensor& upper, const Tensor& inputs, const Tensor& x,
                               const Tensor& merge, const LayerStack* stack, std::int64_t first) {
    const Guard guard;
    const LayerStack& n = *stack;
    const Layers layers{stack, first};
    const std::int64_t S = W.size(1);
    std::vector<Tensor> kept(kKeptTensors);
    kept[kLower] = lower;
    kept[kUpper] = upper;
    kept[kXLower] = first > 0 ? layers.lower(x) : inputs;
    kept[kX] = x;
    kept[kMerge] = merge.narrow(1, 0, 12).t().view({12, 1, S, 1, 1});
    make_factors(layers, W, kept);
    make_terms(layers, kept);
    const Tensor& terms = kept[kTermsKept];
    const Tensor w = kept[kLeft].select(0, 2);

    // n(t) = r t with r = 1/sqrt(1 + mean t²); alpha_k = m_k r_k; the merged change is 12 times the rule's
    kept[kNorms] = inverse_norm(terms, {3}, n.per_row, 1);
    kept[kAlpha] = at::mul(kept[kNorms], kept[kMerge]);
    kept[kMerged] =
        at::addcmul(at::mul(terms, kept[kAlpha]).sum({0}), n.there, merge.select(1, 12).view({1, S, 1, 1}));
    kept[kAlong] = at::mul(kept[kMerged], w).sum({2, 3}, true).clamp_min_(0).mul_(n.per_entry);
    const Tensor change = at::addcmul(kept[kMerged], w, kept[kAlong], -1).mul_(kMergedFactor);
    kept[kOutScale] = inverse_norm(change, {2}, n.per_row, 1);
    kept[kOut] = change.mul_(kept[kOutScale]);
    const Tensor delta = at::add(kept[kOut], w, -1.0 / 7);
    ctx->save_for_backward(kept);
    ctx->saved_data["stack"] = static_cast<std::int64_t>(reinterpret_cast<std::intptr_t>(stack));
    ctx->saved_data["first"] = first;
    ctx->mark_non_differentiable({terms});
    ctx->set_materialize_grads(false);
    return {delta, terms};
  }

  /// Gradients with respect to all terms, dt_k = alpha_k g - alpha_k r_k² t_k e_k / I, e_k = Σ_i g t_k, and
  /// to merge.w.
  static Tensor terms_gradient(const LayerStack& n, const variable_list& kept, const Tensor& g,
                               const Tensor& dmerge) {
    const Tensor &terms = kept[kTermsKept], &r = kept[kNorms], &alpha = kept[kAlpha];
    const Tensor re = at::mul(terms, g).sum({3}, true).mul_(r);
    dmerge.narrow(1, 0, 12).copy_(re.sum({1, 3, 4}).t());
    const Tensor beta = re.mul_(r).mul_(alpha).mul_(n.per_row);
    const Tensor d = at::mul(alpha, g);
    return d.addcmul_(terms, beta, -1);
  }

  /// Gradients with respect to the left and right factors of the matrix products; adds those through the left
  /// ones to dw.
  struct ProductGradients {
    Tensor dright, dS_lower;
  };
  static ProductGradients product_gradients(const LayerStack& n, const variable_list& kept, const Tensor& d,
                                            const Tensor& dw) {
    const Tensor &left = kept[kLeft], &right = kept[kRight];
    const Tensor w = left.select(0, 2);
    // terms 0 .. 3 = left right, 4 .. 5 = S_lower (w, q)
    const Tensor d_above = batch(range(d, 0, 4)), d_below = batch(range(d, kBelow, 2));
    const Tensor dleft = at::bmm(d_above, transposed(batch(right))).view(left.sizes());
    const Tensor dright = at::bmm(transposed(batch(left)), d_above).view(right.sizes());
    const Tensor dwq =
        at::bmm(batch(kept[kSymmetricLower]), d_below).view({2, n.layers(), w.size(1), n.rows, n.columns});
    const Tensor dS_lower =
        at::bmm(d_below, transposed(batch(range(left, 2, 2)))).view(kept[kSymmetricLower].sizes());
    dleft.select(0, 3).add_(dwq.select(0, 1)).mul_(w).div_(kept[kRoot]);  // dq/dw = w / sqrt(1 + w²)
    dw.add_(dleft.sum({0})).add_(dwq.select(0, 0));
    return {dright, dS_lower};
  }

  /// Gradients with respect to the readouts and to x, from those of the products that contain them.
  static variable_list readout_gradients(const Layers& layers, const variable_list& kept, const Tensor& d,
                                         const ProductGradients& by) {
    const LayerStack& n = *layers.stack;
    const Tensor &lower = kept[kLower], &upper = kept[kUpper];
    const Tensor d_direct = range(d, kDirect, 3);
    const Tensor dlower = at::empty_like(lower), dupper = at::empty_like(upper);
    product(range(dlower, 0, 3), d_direct, range(upper, 0, 3));
    product(range(dupper, 0, 3), transposed(d_direct), range(lower, 0, 3));
    const Tensor dR_lower = symmetric(by.dS_lower, n.lower);
    product(range(dlower, 3, 2), dR_lower, range(lower, 5, 2));
    product(range(dlower, 5, 2), dR_lower, range(lower, 3, 2));
    const Tensor dR_upper = symmetric(range(by.dright, 2, 2), n.upper);
    product(range(dupper, 3, 2), dR_upper, range(upper, 5, 2));
    product(range(dupper, 5, 2), dR_upper, range(upper, 3, 2));
    // of products x xᵀ
    const Tensor squares = range(by.dright, 0, 2);
    const Tensor dsquares = at::add(squares, transposed(squares)).mul_(n.root);
    product(dupper.select(0, 7), dsquares.select(0, 0), upper.select(0, 7));
    const Tensor dx = at::zeros_like(kept[kX]), d_hebb = d.select(0, kHebb);
    const Tensor xu = layers.upper(kept[kX]);
    batch(layers.upper(dx)).baddbmm_(transposed(batch(d_hebb)), batch(kept[kXLower]), 1, -1);
    batch(layers.upper(dx)).baddbmm_(batch(dsquares.select(0, 1)), batch(xu));
    if (layers.first > 0) batch(layers.lower(dx)).baddbmm_(batch(d_hebb), batch(xu), 1, -1);
    return {dlower, dupper, dx};
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& dout) {
    const auto kept = ctx->get_saved_variables();
    const Guard guard;
    const Tensor &terms = kept[kTermsKept], &sign = kept[kSign];
    const Tensor w = kept[kLeft].select(0, 2);
    const Layers layers{
        reinterpret_cast<const LayerStack*>(static_cast<std::intptr_t>(ctx->saved_data["stack"].toInt())),
        ctx->saved_data["first"].toInt()};
    const LayerStack& n = *layers.stack;
    const Tensor& g = dout[0];

    // forward: ΔW = out - w / 7, out = n(change), change = (merged - w relu(Σ merged w) / IJ) / 12^1.5
    const Tensor slope = at::mul(g, kept[kOut]).sum({2}, true).mul_(n.per_row);
    const Tensor dchange = at::addcmul(g, kept[kOut], slope, -1).mul_(kept[kOutScale]).mul_(kMergedFactor);
    const Tensor dalong =
        at::threshold_backward(at::mul(dchange, w).sum({2, 3}, true), kept[kAlong], 0).mul_(n.per_entry);
    const Tensor dmerged = at::addcmul(dchange, w, dalong, -1);
    const Tensor dw = at::mul(g, -1.0 / 7);
    dw.addcmul_(dchange, kept[kAlong], -1).addcmul_(kept[kMerged], dalong, -1);
    const Tensor dmerge = at::empty({w.size(1), 13}, w.options());
    Tensor dconstant = dmerge.select(1, 12);
    at::sum_out(dconstant, dmerged, {0, 2, 3});
    const Tensor d = terms_gradient(n, kept, dmerged, dmerge);

    // decorrelate: t = kappa c, so dc = kappa (dt - t Σ(dt t) / IJ)
    const Tensor dc = d.select(0, kDecorrelate), t = terms.select(0, kDecorrelate);
    dc.addcmul_(t, at::mul(dc, t).sum({2, 3}, true).mul_(n.per_entry), -1).mul_(kept[kKappa]);
    for (const auto signed_slot : {kSqrUpper, kSqrLower}) d.select(0, signed_slot).mul_(sign);
    const auto by_products = product_gradients(n, kept, d, dw);

    // w · R, exp(-w²) · R, w² sign(w), w
    const Tensor d_first = d.select(0, kFirstOrder), d_rbf = d.select(0, kRbf);
    dw.addcmul_(d_first, kept[kProducts].select(0, 1));
    dw.addcmul_(at::mul(d_rbf, terms.select(0, kRbf)), w, -2);
    dw.addcmul_(d.select(0, kDecay), at::mul(w, sign), 2).add_(d.select(0, kBase));
    d_first.mul_(w);
    d_rbf.mul_(kept[kGaussian]);
    const auto by_readouts = readout_gradients(layers, kept, d, by_products);

    // forward: w = W s; so dW = s (dw - w Σ(dw w) / I)
    const Tensor inner = at::mul(dw, w).sum({2}, true).mul_(n.per_row);
    const Tensor dW = dw.addcmul_(w, inner, -1).mul_(kept[kScale]);
    return {dW, by_readouts[0], by_readouts[1], Tensor(), by_readouts[2], dmerge, Tensor(), Tensor()};
  }
};

}  // namespace

WeightChange weight_change(const Tensor& W, const LayerPairs& pairs, const Tensor& merge,
                           const LayerStack& stack) {
  const auto result =
      WeightChangeNode::apply(W, pairs.lower, pairs.upper, pairs.inputs, pairs.x, merge, &stack, pairs.first);
  return {result[1], result[0]};
}

}  // namespace outerloop::rule::reference
