#include "common/rule/fused/cross_entropy.h"

#include <cmath>
#include <string>

#include "common/base/error.h"
#include "common/rule/fused/row_kernels.h"

namespace outerloop::rule::fused {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// f, f′ and f″ at one z.
template <class Real>
struct Point {
  Real value, slope, curvature;
};

template <class Real>
Point<Real> evaluate(Nonlinearity kind, Real z) {
  const bool above = z > 0;
  switch (kind) {
    case Nonlinearity::relu:
      return {z < 0 ? Real{0} : z, Real(above), 0};
    case Nonlinearity::leaky_relu:
      return {above ? z : Real(0.2) * z, above ? Real{1} : Real(0.2), 0};
    case Nonlinearity::swish: {
      const Real s = 1 / (1 + std::exp(-z)), ds = s * (1 - s);
      return {z * s, s + z * ds, ds * (2 + z * (1 - 2 * s))};
    }
    case Nonlinearity::elu: {
      if (above) return {z, 1, 0};
      const Real e = std::exp(z);
      return {std::expm1(z), e, e};
    }
    case Nonlinearity::tanh: {
      const Real t = std::tanh(z), slope = 1 - t * t;
      return {t, slope, -2 * t * slope};
    }
    case Nonlinearity::step:
      return {Real(above), 0, 0};
  }
  throw Error("fused engine: unknown non-linearity number " + std::to_string(static_cast<int>(kind)));
}

/// One member of Point, element by element.
template <class Real, class Matrix>
Matrix each(Nonlinearity kind, const Matrix& z, Real Point<Real>::*member) {
  return z.unaryExpr([=](Real value) { return evaluate(kind, value).*member; });
}

/// Minus its mean over the examples, unit by unit.
template <class Matrix>
Matrix centred(const Matrix& m) {
  return m.colwise() - m.rowwise().mean();
}

/// mean over the examples of a·b, unit by unit.
template <class Matrix>
auto mean_product(const Matrix& a, const Matrix& b) {
  return a.cwiseProduct(b).rowwise().mean().eval();
}

}  // namespace

std::int64_t layer_offset(const Architecture& architecture, std::int64_t layer) {
  std::int64_t offset = 0;
  for (std::int64_t l = 0; l < layer; ++l)
    offset += 2 * (architecture.units[at(l)] + 1) * architecture.units[at(l + 1)];
  return offset;
}

template <class Real>
SgdLayer<Real>::SgdLayer(const Architecture& architecture, Real* phi, std::int64_t l)
    : W(phi + layer_offset(architecture, l), architecture.units[at(l)], architecture.units[at(l + 1)]),
      b(W.data() + W.size(), W.cols()),
      weights(W.data(), W.size() + b.size()),
      momentum(W.data() + weights.size(), weights.size()) {}

template <class Real>
CrossEntropy<Real>::CrossEntropy(const Architecture& architecture, const Real* phi,
                                 const LabelledExamples<Real>& data)
    : architecture_(architecture),
      phi_(phi),
      examples_(data.examples),
      y_(data.y, architecture.outputs(), data.examples) {
  x_.push_back(Eigen::Map<const Matrix>(data.x, architecture.inputs(), examples_));
  for (std::int64_t l = 0; l + 1 < architecture.layers(); ++l) {
    Hidden h;
    h.u = centred<Matrix>(layer(l).W.transpose() * x_.back());
    h.rstd = (mean_product(h.u, h.u).array() + static_cast<Real>(kRowEpsilon)).rsqrt();
    h.u = h.rstd.asDiagonal() * h.u;
    h.z = h.u.colwise() + layer(l).b;
    x_.push_back(each(architecture.nonlinearity, h.z, &Point<Real>::value));
    hidden_.push_back(std::move(h));
  }
  const auto output = layer(architecture.layers() - 1);
  const Matrix logits = (output.W.transpose() * x_.back()).colwise() + output.b;
  const Matrix shifted = logits.rowwise() - logits.colwise().maxCoeff();
  log_softmax_ = shifted.rowwise() - shifted.array().exp().colwise().sum().log().matrix();
}

template <class Real>
double CrossEntropy<Real>::value() const {
  return -(y_.template cast<double>().array() * log_softmax_.template cast<double>().array()).sum() /
         static_cast<double>(examples_);
}

/// Fills d_logits_ and dx, dz, dy of every hidden layer.
template <class Real>
void CrossEntropy<Real>::backward() {
  if (d_logits_.size() > 0) return;
  const Real share = 1 / static_cast<Real>(examples_);
  d_logits_ = share * (log_softmax_.array().exp().rowwise() * y_.colwise().sum().array() - y_.array());
  const Matrix* above = &d_logits_;
  for (std::int64_t l = architecture_.layers() - 2; l >= 0; --l) {
    Hidden& h = hidden_[at(l)];
    h.dx = layer(l + 1).W * *above;
    h.dz = h.dx.cwiseProduct(each(architecture_.nonlinearity, h.z, &Point<Real>::slope));
    // forward: u = (y − mean)·rstd; so here dy = rstd·(dz − mean(dz) − u·mean(dz·u))
    h.dy = h.rstd.asDiagonal() * Matrix(centred(h.dz) - mean_product(h.dz, h.u).asDiagonal() * h.u);
    above = &h.dy;
  }
}

template <class Real>
void CrossEntropy<Real>::gradient(Real* gradient) {
  backward();
  for (std::int64_t l = 0; l < architecture_.layers(); ++l) {
    SgdLayer<Real> g(architecture_, gradient, l);
    const bool last = l + 1 == architecture_.layers();
    g.W = x_[at(l)] * (last ? d_logits_ : hidden_[at(l)].dy).transpose();
    g.b = (last ? d_logits_ : hidden_[at(l)].dz).rowwise().sum();
    g.momentum.setZero();
  }
}

/// Fills r_x_, r_u, r_z and r_logits_.
template <class Real>
void CrossEntropy<Real>::forward_tangents(const Real* direction) {
  r_x_.assign(1, Matrix::Zero(x_[0].rows(), x_[0].cols()));
  for (std::int64_t l = 0; l < architecture_.layers(); ++l) {
    const SgdLayer<const Real> along(architecture_, direction, l);
    const Matrix r_y = along.W.transpose() * x_[at(l)] + layer(l).W.transpose() * r_x_.back();
    if (l + 1 == architecture_.layers()) {
      r_logits_ = r_y.colwise() + along.b;
      return;
    }
    Hidden& h = hidden_[at(l)];
    const Column along_u = mean_product(h.u, r_y);
    h.r_u = h.rstd.asDiagonal() * Matrix(centred(r_y) - along_u.asDiagonal() * h.u);
    h.r_log_rstd = -h.rstd.cwiseProduct(along_u);
    h.r_z = h.r_u.colwise() + along.b;
    r_x_.push_back(each(architecture_.nonlinearity, h.z, &Point<Real>::slope).cwiseProduct(h.r_z));
  }
}

/// From the derivative of dx along the direction to those of dz and dy.
template <class Real>
void CrossEntropy<Real>::backward_tangents(const Matrix& r_dx, Hidden& h) const {
  // forward: dz = f′(z)·dx
  const auto kind = architecture_.nonlinearity;
  h.r_dz = each(kind, h.z, &Point<Real>::slope).cwiseProduct(r_dx) +
           each(kind, h.z, &Point<Real>::curvature).cwiseProduct(h.r_z).cwiseProduct(h.dx);
  // forward: dy = rstd·(dz − mean(dz) − u·mean(dz·u))
  const Column r_mean = mean_product(h.r_dz, h.u) + mean_product(h.dz, h.r_u);
  h.r_dy = h.rstd.asDiagonal() *
           Matrix(centred(h.r_dz) - mean_product(h.dz, h.u).asDiagonal() * h.r_u - r_mean.asDiagonal() * h.u);
  h.r_dy += h.r_log_rstd.asDiagonal() * h.dy;
}

template <class Real>
void CrossEntropy<Real>::add_hessian_product(const Real* direction, Real* product) {
  backward();
  forward_tangents(direction);

  // forward: d_logits = (softmax·Σy − y)/B
  const Matrix softmax = log_softmax_.array().exp();
  const Matrix spread = r_logits_.rowwise() - softmax.cwiseProduct(r_logits_).colwise().sum();
  const Real share = 1 / static_cast<Real>(examples_);
  const Matrix r_d_logits =
      share * (softmax.cwiseProduct(spread).array().rowwise() * y_.colwise().sum().array());

  const Matrix *d = &d_logits_, *r_d = &r_d_logits, *r_d_b = &r_d_logits;
  for (std::int64_t l = architecture_.layers() - 1; l >= 0; --l) {
    // forward: dW = x dyᵀ, db = Σ dz
    SgdLayer<Real> result(architecture_, product, l);
    result.W += r_x_[at(l)] * d->transpose() + x_[at(l)] * r_d->transpose();
    result.b += r_d_b->rowwise().sum();
    if (l == 0) break;
    // forward: dx = W dy
    Hidden& h = hidden_[at(l - 1)];
    backward_tangents(SgdLayer<const Real>(architecture_, direction, l).W * *d + layer(l).W * *r_d, h);
    d = &h.dy, r_d = &h.r_dy, r_d_b = &h.r_dz;
  }
}

template struct SgdLayer<float>;
template struct SgdLayer<double>;
template struct SgdLayer<const float>;
template struct SgdLayer<const double>;
template class CrossEntropy<float>;
template class CrossEntropy<double>;

}  // namespace outerloop::rule::fused
