#include "common/evaluation/baselines/pca.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <string>

#include "common/base/error.h"
#include "common/evaluation/baselines/eigen.h"

namespace outerloop::baselines {
namespace {

/// xᵀx / n of centred x. Products of a chunk are in float, the sum over chunks in double.
Eigen::MatrixXd covariance(const rule::Matrix& x, const Eigen::RowVectorXf& mean) {
  Eigen::MatrixXd sum = Eigen::MatrixXd::Zero(x.columns, x.columns);
  for_each_chunk(x.rows, [&](std::int64_t first, std::int64_t count) {
    const Eigen::MatrixXf centred = ConstRows(x.row(first), count, x.columns).rowwise() - mean;
    Eigen::MatrixXf product = Eigen::MatrixXf::Zero(x.columns, x.columns);
    product.selfadjointView<Eigen::Lower>().rankUpdate(centred.transpose());
    sum += product.cast<double>();
  });
  return sum / static_cast<double>(x.rows);
}

}  // namespace

Pca::Pca(const rule::Matrix& x, std::int64_t components) {
  if (x.rows < 1 || x.columns < 1 || components < 1)
    throw Error("principal components: " + std::to_string(components) + " of " + std::to_string(x.rows) +
                " examples with " + std::to_string(x.columns) + " columns; one of each at least");
  if (!rows_of(x).allFinite()) throw Error("principal components: numbers that are not finite");
  const Eigen::RowVectorXf mean = rows_of(x).cast<double>().colwise().mean().cast<float>();
  mean_.assign(mean.data(), mean.data() + mean.size());
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(covariance(x, mean));
  if (solver.info() != Eigen::Success) throw Error("principal components: the eigenvalues do not converge");
  total_variance_ = solver.eigenvalues().cwiseMax(0.0).sum();
  const std::int64_t kept = std::min(components, x.columns);
  directions_ = rule::Matrix(kept, x.columns);
  for (std::int64_t i = 0; i < kept; ++i) {
    const Eigen::Index from = x.columns - 1 - i;  // the solver's eigenvalues ascend
    variance_.push_back(std::max(0.0, solver.eigenvalues()[from]));
    Eigen::VectorXd direction = solver.eigenvectors().col(from);
    Eigen::Index largest = 0;
    direction.cwiseAbs().maxCoeff(&largest);
    if (direction[largest] < 0) direction = -direction;
    std::transform(direction.data(), direction.data() + direction.size(), directions_.row(i),
                   [](double value) { return static_cast<float>(value); });
  }
}

rule::Matrix Pca::project_scaled(const rule::Matrix& x, bool whiten, double epsilon) const {
  if (x.columns != directions_.columns)
    throw Error("principal components: " + std::to_string(x.columns) + " columns, fitted on " +
                std::to_string(directions_.columns));
  Rows<float> directions = rows_of(directions_);
  if (whiten)
    for (std::int64_t i = 0; i < components(); ++i)
      directions.row(i) *=
          static_cast<float>(1.0 / std::sqrt(variance_[static_cast<std::size_t>(i)] + epsilon));
  const Eigen::Map<const Eigen::RowVectorXf> mean(mean_.data(), x.columns);
  rule::Matrix result(x.rows, components());
  for_each_chunk(x.rows, [&](std::int64_t first, std::int64_t count) {
    Eigen::Map<Rows<float>>(result.row(first), count, components()).noalias() =
        (ConstRows(x.row(first), count, x.columns).rowwise() - mean) * directions.transpose();
  });
  return result;
}

}  // namespace outerloop::baselines
