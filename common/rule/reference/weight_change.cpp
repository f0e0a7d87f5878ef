#include "common/rule/reference/weight_change.h"

#include <ATen/ScalarOps.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

namespace outerloop::rule::reference {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;
using Guard = at::AutoDispatchBelowADInplaceOrView;

// Slots of the terms, in the order of kMergeOrder: products with matrices of the upper layer from the right
// (0 to 3), of the lower layer from the left (4, 5), of both layers' readouts (6 to 8), and the rest.
constexpr std::int64_t kDecorrelate = 1, kSqrUpper = 3, kBelow = 4, kSqrLower = 5, kDirect = 6,
                       kFirstOrder = 7, kRbf = 8, kHebb = 9, kDecay = 10, kBase = 11;

/// [n, S, rows, columns] as one batch of matrices.
Tensor batch(const Tensor& t) { return t.flatten(0, 1); }
Tensor range(const Tensor& t, std::int64_t first, std::int64_t count) { return t.narrow(0, first, count); }
Tensor transposed(const Tensor& t) { return t.transpose(-1, -2); }

/// out = factor * a b.
void product(Tensor out, const Tensor& a, const Tensor& b, double factor = 1) {
  at::bmm_out(out, a, b);
  if (factor != 1) out.mul_(factor);
}

/// factor * (r + rᵀ) with a zero diagonal.
Tensor symmetric(const Tensor& r, double factor) {
  const Tensor s = at::add(r, transposed(r)).mul_(factor);
  s.diagonal(0, -2, -1).zero_();
  return s;
}

/// Sizes of a matrix W [S, I, J], and the factors that products of readouts take.
struct Sizes {
  std::int64_t S, I, J;
  double rows, all, symmetric_lower, symmetric_upper, psd, covariance, hebb;

  Sizes(const Tensor& W, const Tensor& x_upper)
      : S(W.size(0)),
        I(W.size(1)),
        J(W.size(2)),
        rows(static_cast<double>(I)),
        all(static_cast<double>(I * J)),
        symmetric_lower(1 / std::sqrt(2.0 * rows)),
        symmetric_upper(1 / std::sqrt(2.0 * static_cast<double>(J))),
        psd(1 / std::sqrt(static_cast<double>(J))),
        covariance(psd / static_cast<double>(x_upper.size(2))),
        hebb(-1 / static_cast<double>(x_upper.size(2))) {}
};

/// What the forward pass leaves for its adjoint, in the order in which it is saved.
enum Kept {
  kLower,
  kUpper,
  kXUpper,
  kXLower,
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
  /// Everything that the terms are made of, and the terms.
  static void make_terms(const Sizes& n, const Tensor& W, std::vector<Tensor>& kept) {
    const auto options = W.options();
    const Tensor &lower = kept[kLower], &upper = kept[kUpper], &x_upper = kept[kXUpper],
                 &x_lower = kept[kXLower];
    kept[kScale] = at::mul(W, W).sum({1}, true).add_(n.rows * 1e-6).rsqrt_().mul_(std::sqrt(n.rows));
    // Left factors: w, w, w, q with q = sqrt(1 + w²) - 1
    const Tensor left = at::empty({4, n.S, n.I, n.J}, options);
    Tensor w = left.select(0, 2), q = left.select(0, 3);
    at::mul_out(w, W, kept[kScale]);
    const Tensor w2 = at::mul(w, w);
    kept[kRoot] = (w2 + 1).sqrt_();
    at::sub_out(q, kept[kRoot], c10::scalar_to_tensor(1.0));
    range(left, 0, 2).copy_(w);
    kept[kLeft] = left;

    const Tensor terms = at::empty({12, n.S, n.I, n.J}, options);
    const Tensor right = at::empty({4, n.S, n.J, n.J}, options);
    product(right.select(0, 0), upper.select(0, 7), transposed(upper.select(0, 7)), n.psd);
    product(right.select(0, 1), x_upper, transposed(x_upper), n.covariance);
    const Tensor R_upper = at::bmm(batch(range(upper, 3, 2)), transposed(batch(range(upper, 5, 2))));
    Tensor S_upper = batch(range(right, 2, 2));
    at::add_out(S_upper, R_upper, transposed(R_upper));
    S_upper.mul_(n.symmetric_upper).diagonal(0, -2, -1).zero_();
    kept[kRight] = right;
    product(batch(range(terms, 0, 4)), batch(left), batch(right));

    const Tensor R_lower = at::bmm(batch(range(lower, 3, 2)), transposed(batch(range(lower, 5, 2))));
    kept[kSymmetricLower] = symmetric(R_lower, n.symmetric_lower);
    product(batch(range(terms, kBelow, 2)), kept[kSymmetricLower], batch(range(left, 2, 2)));

    kept[kSign] = w.sign();
    kept[kGaussian] = w2.neg().exp_();
    kept[kProducts] =
        at::bmm(batch(range(lower, 0, 3)), transposed(batch(range(upper, 0, 3)))).view({3, n.S, n.I, n.J});
    terms.select(0, kDirect).copy_(kept[kProducts].select(0, 0));
    Tensor slot = terms.select(0, kFirstOrder);
    at::mul_out(slot, kept[kProducts].select(0, 1), w);
    slot = terms.select(0, kRbf);
    at::mul_out(slot, kept[kProducts].select(0, 2), kept[kGaussian]);
    product(terms.select(0, kHebb), x_lower, transposed(x_upper), n.hebb);
    slot = terms.select(0, kDecay);
    at::mul_out(slot, w2, kept[kSign]);
    terms.select(0, kBase).copy_(w);
    for (const auto signed_slot : {kSqrUpper, kSqrLower}) terms.select(0, signed_slot).mul_(kept[kSign]);
    const Tensor c = terms.select(0, kDecorrelate);
    kept[kKappa] = at::mul(c, c).sum({1, 2}, true).add_(n.all * 1e-8).rsqrt_().mul_(std::sqrt(n.all));
    c.mul_(kept[kKappa]);
    kept[kTermsKept] = terms;
  }

  static variable_list forward(AutogradContext* ctx, const Tensor& W, const Tensor& lower,
                               const Tensor& upper, const Tensor& x_lower, const Tensor& x_upper,
                               const Tensor& merge_w, const Tensor& merge_b) {
    const Guard guard;
    const Sizes n(W, x_upper);
    std::vector<Tensor> kept(kKeptTensors);
    kept[kLower] = lower;
    kept[kUpper] = upper;
    kept[kXUpper] = x_upper;
    kept[kXLower] = x_lower;
    kept[kMerge] = merge_w.t().unsqueeze(2).unsqueeze(3);  // [12, S, 1, 1]
    make_terms(n, W, kept);
    const Tensor& terms = kept[kTermsKept];
    const Tensor w = kept[kLeft].select(0, 2);

    // n(t) = sqrt(I) r t with r = 1/sqrt(I + Σ t²); alpha_k = m_k sqrt(I) r_k / 12
    kept[kNorms] = at::mul(terms, terms).sum({2}, true).add_(n.rows).rsqrt_();
    kept[kAlpha] = at::mul(kept[kNorms], kept[kMerge]).mul_(std::sqrt(n.rows) / 12);
    kept[kMerged] = at::add(at::mul(terms, kept[kAlpha]).sum({0}), merge_b.unsqueeze(2), 1.0 / 12);
    kept[kAlong] = at::mul(kept[kMerged], w).sum({1, 2}, true).relu_();
    const Tensor change = at::addcmul(kept[kMerged], w, kept[kAlong], -1 / n.all).mul_(1 / std::sqrt(12.0));
    kept[kOutScale] = at::mul(change, change).sum({1}, true).add_(n.rows).rsqrt_().mul_(std::sqrt(n.rows));
    kept[kOut] = change.mul_(kept[kOutScale]);
    const Tensor delta = at::add(kept[kOut], w, -1.0 / 7);
    ctx->save_for_backward(kept);
    ctx->mark_non_differentiable({terms});
    ctx->set_materialize_grads(false);
    return {delta, terms};
  }

  /// By all terms: dt_k = alpha_k g - alpha_k r_k² e_k t_k, e_k = Σ_i g t_k; and by merge.w.
  static Tensor terms_gradient(const Sizes& n, const variable_list& kept, const Tensor& g, Tensor& dmerge) {
    const Tensor &terms = kept[kTermsKept], &r = kept[kNorms], &alpha = kept[kAlpha];
    const Tensor e = at::mul(terms, g).sum({2}, true);
    const Tensor re = e * r;
    dmerge = re.sum({2, 3}).t() * (std::sqrt(n.rows) / 12);
    const Tensor beta = re.mul_(r).mul_(alpha);
    const Tensor d = at::mul(alpha, g);
    d.addcmul_(terms, beta, -1);
    return d;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& dout) {
    const auto kept = ctx->get_saved_variables();
    const Guard guard;
    const Tensor &lower = kept[kLower], &upper = kept[kUpper], &x_upper = kept[kXUpper],
                 &x_lower = kept[kXLower];
    const Tensor &left = kept[kLeft], &right = kept[kRight], &terms = kept[kTermsKept], &sign = kept[kSign];
    const Tensor w = left.select(0, 2), wq = batch(range(left, 2, 2));
    const Sizes n(w, x_upper);
    const Tensor& g = dout[0];

    // forward: ΔW = out - w / 7, out = n(change), change = (merged - w relu(Σ merged w) / IJ) / sqrt(12)
    const Tensor slope = at::mul(g, kept[kOut]).sum({1}, true);
    const Tensor dchange =
        at::addcmul(g, kept[kOut], slope, -1 / n.rows).mul_(kept[kOutScale]).mul_(1 / std::sqrt(12.0));
    const Tensor dalong = at::threshold_backward(at::mul(dchange, w).sum({1, 2}, true), kept[kAlong], 0);
    const Tensor dmerged = at::addcmul(dchange, w, dalong, -1 / n.all);
    const Tensor dw = at::mul(g, -1.0 / 7);
    dw.addcmul_(dchange, kept[kAlong], -1 / n.all).addcmul_(kept[kMerged], dalong, -1 / n.all);
    const Tensor dmerge_b = dmerged.sum({1, 2}).unsqueeze(1) * (1.0 / 12);
    Tensor dmerge_w;
    const Tensor d = terms_gradient(n, kept, dmerged, dmerge_w);

    // decorrelate: t = kappa c, so dc = kappa (dt - t Σ(dt t) / IJ)
    const Tensor dc = d.select(0, kDecorrelate), t = terms.select(0, kDecorrelate);
    dc.addcmul_(t, at::mul(dc, t).sum({1, 2}, true), -1 / n.all).mul_(kept[kKappa]);
    for (const auto signed_slot : {kSqrUpper, kSqrLower}) d.select(0, signed_slot).mul_(sign);

    // terms 0 .. 3 = left right, 4 .. 5 = S_lower (w, q)
    const Tensor d_above = batch(range(d, 0, 4)), d_below = batch(range(d, kBelow, 2));
    const Tensor dleft = at::bmm(d_above, transposed(batch(right))).view(left.sizes());
    const Tensor dright = at::bmm(transposed(batch(left)), d_above).view(right.sizes());
    const Tensor dwq = at::bmm(kept[kSymmetricLower], d_below).view({2, n.S, n.I, n.J});
    const Tensor dS_lower = at::bmm(d_below, transposed(wq));
    dleft.select(0, 3).add_(dwq.select(0, 1)).mul_(w).div_(kept[kRoot]);  // dq/dw = w / sqrt(1 + w²)
    dw.add_(dleft.sum({0})).add_(dwq.select(0, 0));

    // w · R, exp(-w²) · R, w² sign(w), w
    const Tensor d_first = d.select(0, kFirstOrder), d_rbf = d.select(0, kRbf);
    dw.addcmul_(d_first, kept[kProducts].select(0, 1));
    dw.addcmul_(at::mul(d_rbf, terms.select(0, kRbf)), w, -2);
    dw.addcmul_(d.select(0, kDecay), at::mul(w, sign), 2).add_(d.select(0, kBase));
    d_first.mul_(w);
    d_rbf.mul_(kept[kGaussian]);

    // readouts
    const Tensor d_direct = batch(range(d, kDirect, 3));
    const Tensor dlower = at::empty_like(lower), dupper = at::empty_like(upper);
    const auto part = [](const Tensor& rows, std::int64_t first, std::int64_t count) {
      return batch(range(rows, first, count));
    };
    product(part(dlower, 0, 3), d_direct, part(upper, 0, 3));
    product(part(dupper, 0, 3), transposed(d_direct), part(lower, 0, 3));
    const Tensor dR_lower = symmetric(dS_lower, n.symmetric_lower);
    product(part(dlower, 3, 2), dR_lower, part(lower, 5, 2));
    product(part(dlower, 5, 2), dR_lower, part(lower, 3, 2));
    const Tensor dR_upper = symmetric(part(dright, 2, 2), n.symmetric_upper);
    product(part(dupper, 3, 2), dR_upper, part(upper, 5, 2));
    product(part(dupper, 5, 2), dR_upper, part(upper, 3, 2));
    const Tensor dsquares = range(dright, 0, 2) + transposed(range(dright, 0, 2));  // of products x xᵀ
    product(dupper.select(0, 7), dsquares.select(0, 0), upper.select(0, 7), n.psd);
    const Tensor d_hebb = d.select(0, kHebb).mul_(n.hebb);
    const Tensor dx_upper = at::bmm(transposed(d_hebb), x_lower);
    dx_upper.baddbmm_(dsquares.select(0, 1), x_upper, 1, n.covariance);
    const Tensor dx_lower = at::bmm(d_hebb, x_upper);

    // forward: w = W s; so dW = s (dw - w Σ(dw w) / I)
    const Tensor inner = at::mul(dw, w).sum({1}, true);
    const Tensor dW = dw.addcmul_(w, inner, -1 / n.rows).mul_(kept[kScale]);
    return {dW, dlower, dupper, dx_lower, dx_upper, dmerge_w, dmerge_b};
  }
};

}  // namespace

WeightChange weight_change(const Tensor& W, const LayerPair& pair, const Merge& merge) {
  const auto result =
      WeightChangeNode::apply(W, pair.lower, pair.upper, pair.x_lower, pair.x_upper, merge.w, merge.b);
  return {result[1], result[0]};
}

}  // namespace outerloop::rule::reference
