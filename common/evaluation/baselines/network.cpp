#include "common/evaluation/baselines/network.h"

#include <cmath>
#include <string>
#include <utility>

#include "common/base/error.h"

namespace outerloop::baselines {

template <typename Real>
Network<Real>::Network(std::vector<LayerShape> layers) : layers_(std::move(layers)), kept_(layers_.size()) {
  std::int64_t size = 0;
  for (const auto& layer : layers_) {
    offset_.push_back(size);
    size += layer.parameters();
  }
  parameters_ = Vector::Zero(size);
  gradient_ = Vector::Zero(size);
}

template <typename Real>
void Network<Real>::initialise(const rule::Random& random) {
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const double sigma = std::sqrt(2.0 / static_cast<double>(layers_[l].inputs));
    const std::int64_t end = offset_[l] + layers_[l].inputs * layers_[l].outputs;
    for (std::int64_t i = offset_[l]; i < end; ++i)
      parameters_[i] = static_cast<Real>(sigma * random.normal(static_cast<std::uint32_t>(i)));
  }
}

template <typename Real>
const Rows<Real>& Network<Real>::forward(const Matrix& x) {
  output_ = x;
  const auto batch = static_cast<Real>(x.rows());
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const LayerShape& layer = layers_[l];
    Kept& kept = kept_[l];
    OUTERLOOP_CHECK_EQ(output_.cols(), static_cast<Eigen::Index>(layer.inputs));
    kept.x.swap(output_);
    const MatrixMap W(parameters_.data() + offset_[l], layer.inputs, layer.outputs);
    const auto b = parameters_.segment(offset_[l] + layer.inputs * layer.outputs, layer.outputs).transpose();
    output_.noalias() = kept.x * W;
    if (layer.normalised) {
      output_.rowwise() -= output_.colwise().mean().eval();
      kept.rstd = (output_.colwise().squaredNorm().array() / batch + Real(1e-6)).rsqrt();
      output_.array().rowwise() *= kept.rstd.array();
      kept.y = output_;
      output_ = (output_.rowwise() + b).cwiseMax(Real(0));
    } else {
      output_.rowwise() += b;
    }
  }
  return output_;
}

template <typename Real>
Rows<Real> Network<Real>::backward(const Matrix& d_output, bool input_gradient) {
  Matrix d = d_output;
  const auto batch = static_cast<Real>(d.rows());
  for (std::size_t l = layers_.size(); l-- > 0;) {
    const LayerShape& layer = layers_[l];
    const Kept& kept = kept_[l];
    const MatrixMap W(parameters_.data() + offset_[l], layer.inputs, layer.outputs);
    const auto b = parameters_.segment(offset_[l] + layer.inputs * layer.outputs, layer.outputs).transpose();
    auto db = gradient_.segment(offset_[l] + layer.inputs * layer.outputs, layer.outputs);
    // forward: relu(y + b)
    if (layer.normalised) d = ((kept.y.rowwise() + b).array() > Real(0)).select(d, Real(0));
    db = d.colwise().sum().transpose();
    if (layer.normalised) {
      // forward: y = (a − mean a) rstd; so da = rstd (dy − mean dy − y mean(dy y)).
      const Eigen::Matrix<Real, 1, Eigen::Dynamic> along = kept.y.cwiseProduct(d).colwise().sum() / batch;
      d.rowwise() -= db.transpose() / batch;
      d.array() -= kept.y.array().rowwise() * along.array();
      d.array().rowwise() *= kept.rstd.array();
    }
    MatrixMap(gradient_.data() + offset_[l], layer.inputs, layer.outputs).noalias() = kept.x.transpose() * d;
    if (l == 0 && !input_gradient) return {};
    d = (d * W.transpose()).eval();
  }
  return d;
}

template class Network<float>;
template class Network<double>;

Adam::Adam(Eigen::Index parameters, float learning_rate)
    : learning_rate_(learning_rate),
      m_(Eigen::VectorXf::Zero(parameters)),
      v_(Eigen::VectorXf::Zero(parameters)) {}

void Adam::step(Eigen::VectorXf& parameters, const Eigen::VectorXf& gradient) {
  constexpr float kBeta1 = 0.9f, kBeta2 = 0.999f, kEpsilon = 1e-8f;
  ++step_;
  const auto correction = [&](float beta) { return 1.0f - std::pow(beta, static_cast<float>(step_)); };
  m_ = kBeta1 * m_ + (1.0f - kBeta1) * gradient;
  v_ = kBeta2 * v_ + (1.0f - kBeta2) * gradient.cwiseAbs2();
  const float rate = learning_rate_ / correction(kBeta1), scale = 1.0f / correction(kBeta2);
  parameters.array() -= rate * m_.array() / ((v_.array() * scale).sqrt() + kEpsilon);
}

std::vector<LayerShape> encoder_layers(const rule::Architecture& architecture, std::int64_t layers) {
  std::vector<LayerShape> result;
  for (std::size_t l = 0; l < static_cast<std::size_t>(layers); ++l)
    result.push_back({architecture.units[l], architecture.units[l + 1], true});
  return result;
}

void set_encoder(const rule::RuleOptions& rule, const rule::Architecture& architecture,
                 const std::vector<double>& phi, std::int64_t layers, Network<float>& network) {
  const auto layout = rule::phi_layout(rule, architecture);
  OUTERLOOP_CHECK_EQ(static_cast<std::int64_t>(phi.size()), layout.size());
  Eigen::Index to = 0;
  for (std::int64_t l = 1; l <= layers; ++l) {
    const auto& W = layout.at(std::to_string(l) + "/W");
    const auto& b = layout.at(std::to_string(l) + "/b");
    double squares = 0.0;
    for (std::int64_t i = W.offset; i < W.offset + W.size(); ++i)
      squares += phi[static_cast<std::size_t>(i)] * phi[static_cast<std::size_t>(i)];
    const double sigma = std::sqrt(squares / static_cast<double>(W.size()));
    const double scale = std::sqrt(2.0 / static_cast<double>(W.shape[0])) / std::max(sigma, 1e-30);
    for (std::int64_t i = W.offset; i < W.offset + W.size(); ++i)
      network.parameters()[to++] = static_cast<float>(scale * phi[static_cast<std::size_t>(i)]);
    for (std::int64_t i = b.offset; i < b.offset + b.size(); ++i)
      network.parameters()[to++] = static_cast<float>(phi[static_cast<std::size_t>(i)]);
  }
}

std::vector<double> encoder_phi(const rule::RuleOptions& rule, const rule::Architecture& architecture,
                                const Network<float>& network) {
  const auto layout = rule::phi_layout(rule, architecture);
  std::vector<double> phi(static_cast<std::size_t>(layout.size()));
  Eigen::Index from = 0;
  for (std::int64_t l = 1; l <= architecture.layers(); ++l)
    for (const char* name : {"/W", "/b"}) {
      const auto& tensor = layout.at(std::to_string(l) + name);
      for (std::int64_t i = tensor.offset; i < tensor.offset + tensor.size(); ++i)
        phi[static_cast<std::size_t>(i)] = static_cast<double>(network.parameters()[from++]);
    }
  return phi;
}

Rows<float> minibatch(const rule::Matrix& x, std::int64_t batch, const rule::Random& random,
                      std::int64_t step) {
  constexpr std::int64_t kFirst = 1 << 24;
  const std::int64_t first = kFirst + step * batch;
  OUTERLOOP_CHECK(first + batch <= std::int64_t{kFreeElements}, "too many steps of a baseline");
  Rows<float> result(batch, x.columns);
  for (std::int64_t i = 0; i < batch; ++i) {
    const auto row = random.below(static_cast<std::uint32_t>(first + i), static_cast<std::uint64_t>(x.rows));
    result.row(i) = rows_of(x).row(static_cast<Eigen::Index>(row));
  }
  return result;
}

}  // namespace outerloop::baselines
