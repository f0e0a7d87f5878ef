#include "common/rule/readout.h"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <cmath>
#include <string>

#include "common/base/error.h"

namespace outerloop::rule {
namespace {

using Eigen::MatrixXd;
using Eigen::RowVectorXd;
using RowMajorXf = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using RowMajorXd = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

MatrixXd as_double(const Matrix& m) {
  return Eigen::Map<const RowMajorXf>(m.values.data(), m.rows, m.columns).cast<double>();
}

MatrixXd one_hot(const std::vector<std::int32_t>& labels, std::int64_t classes) {
  MatrixXd y = MatrixXd::Zero(static_cast<Eigen::Index>(labels.size()), classes);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0 || labels[i] >= classes)
      throw Error("ridge classifier: label " + std::to_string(labels[i]) + " of example " +
                  std::to_string(i) + " is not in 0 .. " + std::to_string(classes - 1));
    y(static_cast<Eigen::Index>(i), labels[i]) = 1.0;
  }
  return y;
}

/// Solves the positive definite system a x = b.
MatrixXd cholesky_solve(const MatrixXd& a, const MatrixXd& b) {
  const Eigen::LLT<MatrixXd> factor(a);
  if (factor.info() != Eigen::Success)
    throw Error("ridge classifier: the system of " + std::to_string(a.rows()) +
                " equations is singular; use a larger lambda");
  return factor.solve(b);
}

/// (xᵀx + penalty I)⁻¹ xᵀy, in the smaller of feature and example space.
MatrixXd ridge_weights(const MatrixXd& x, const MatrixXd& y, double penalty) {
  if (x.cols() <= x.rows()) {
    MatrixXd gram = x.transpose() * x;
    gram.diagonal().array() += penalty;
    return cholesky_solve(gram, x.transpose() * y);
  }
  MatrixXd gram = x * x.transpose();
  gram.diagonal().array() += penalty;
  return x.transpose() * cholesky_solve(gram, y);
}

}  // namespace

Scaling::Scaling(const Matrix& x) {
  const MatrixXd values = as_double(x);
  const RowVectorXd means = values.colwise().mean();
  const RowVectorXd variances =
      (values.rowwise() - means).colwise().squaredNorm() / static_cast<double>(x.rows);
  double sum = 0.0, varying = 0.0;
  mean.assign(means.data(), means.data() + means.size());
  for (Eigen::Index j = 0; j < values.cols(); ++j) {
    // Compare the values themselves: by rounding, the mean of equal numbers may differ from them.
    const bool constant = values.col(j).maxCoeff() == values.col(j).minCoeff();
    scale.push_back(constant ? 0.0 : 1.0);
    sum += constant ? 0.0 : variances[j];
    varying += constant ? 0.0 : 1.0;
  }
  if (!(sum > 0.0)) return;
  for (double& factor : scale) factor *= std::sqrt(varying / sum);
}

RidgeClassifier::RidgeClassifier(const Matrix& train, const std::vector<std::int32_t>& labels,
                                 std::int64_t classes, double lambda)
    : classes_(classes) {
  if (train.rows < 1 || classes < 1 || labels.size() != static_cast<std::size_t>(train.rows))
    throw Error("ridge classifier: " + std::to_string(train.rows) + " examples, " +
                std::to_string(labels.size()) + " labels and " + std::to_string(classes) +
                " classes; one label per example and one class at least");
  if (!(lambda > 0))
    throw Error("ridge classifier: lambda is " + std::to_string(lambda) + ", must be above 0");
  MatrixXd x = as_double(train);
  if (!x.allFinite()) throw Error("ridge classifier: the features hold numbers that are not finite");
  MatrixXd y = one_hot(labels, classes);

  const Scaling scaling(train);
  const Eigen::Map<const RowVectorXd> mean(scaling.mean.data(), x.cols()),
      scale(scaling.scale.data(), x.cols());
  x.rowwise() -= mean;
  x.array().rowwise() *= scale.array();
  // Features are centred, so the unpenalised bias is the targets' mean.
  const RowVectorXd y_mean = y.colwise().mean();
  y.rowwise() -= y_mean;

  MatrixXd w = ridge_weights(x, y, lambda * static_cast<double>(train.rows));
  w.array().colwise() *= scale.transpose().array();
  weights_.resize(static_cast<std::size_t>((train.columns + 1) * classes));
  Eigen::Map<RowMajorXd> stored(weights_.data(), train.columns + 1, classes);
  stored.topRows(train.columns) = w;
  stored.row(train.columns) = y_mean - mean * w;
}

std::vector<std::int32_t> RidgeClassifier::predict(const Matrix& test) const {
  return linear_predictions("ridge classifier", weights_, classes_, test);
}

std::vector<std::int32_t> linear_predictions(const char* read_out, const std::vector<double>& weights,
                                             std::int64_t classes, const Matrix& test) {
  const std::int64_t columns = static_cast<std::int64_t>(weights.size()) / classes - 1;
  if (test.columns != columns)
    throw Error(std::string(read_out) + ": examples of " + std::to_string(test.columns) +
                " features, fitted on " + std::to_string(columns));
  const Eigen::Map<const RowMajorXd> stored(weights.data(), columns + 1, classes);
  constexpr std::int64_t kChunk = 4096;
  std::vector<std::int32_t> predicted(static_cast<std::size_t>(test.rows));
  for (std::int64_t first = 0; first < test.rows; first += kChunk) {
    const std::int64_t count = std::min(kChunk, test.rows - first);
    const MatrixXd x = Eigen::Map<const RowMajorXf>(test.row(first), count, columns).cast<double>();
    const MatrixXd scores = (x * stored.topRows(columns)).rowwise() + stored.row(columns);
    for (std::int64_t i = 0; i < count; ++i) {
      Eigen::Index best = 0;
      scores.row(i).maxCoeff(&best);
      predicted[static_cast<std::size_t>(first + i)] = static_cast<std::int32_t>(best);
    }
  }
  return predicted;
}

double accuracy(const std::vector<std::int32_t>& predicted, const std::vector<std::int32_t>& labels) {
  if (predicted.size() != labels.size() || labels.empty())
    throw Error("accuracy: " + std::to_string(predicted.size()) + " predictions for " +
                std::to_string(labels.size()) + " labels");
  std::size_t right = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) right += predicted[i] == labels[i] ? 1 : 0;
  return static_cast<double>(right) / static_cast<double>(labels.size());
}

}  // namespace outerloop::rule
