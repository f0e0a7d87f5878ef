#include "common/evaluation/baselines/logistic.h"

#include <Eigen/QR>
#include <cmath>
#include <string>

#include "common/base/error.h"
#include "common/evaluation/baselines/eigen.h"
#include "common/evaluation/baselines/lbfgs.h"
#include "common/rule/readout.h"

namespace outerloop::baselines {
namespace {

using Eigen::MatrixXd;
using Eigen::RowVectorXd;
using Eigen::VectorXd;

constexpr double kTolerance = 1e-6;  // of the gradient's norm; entries of x are of order one
constexpr int kIterations = 500;

void check(const rule::Matrix& train, const std::vector<std::int32_t>& labels, std::int64_t classes,
           double strength) {
  if (train.rows < 1 || classes < 1 || labels.size() != static_cast<std::size_t>(train.rows))
    throw Error("logistic read-out: " + std::to_string(train.rows) + " examples, " +
                std::to_string(labels.size()) + " labels and " + std::to_string(classes) +
                " classes; one label per example and one class at least");
  if (!(strength > 0))
    throw Error("logistic read-out: strength is " + std::to_string(strength) + ", must be above 0");
  for (const auto label : labels)
    if (label < 0 || label >= classes)
      throw Error("logistic read-out: label " + std::to_string(label) + " is not in 0 .. " +
                  std::to_string(classes - 1));
  if (!rows_of(train).allFinite())
    throw Error("logistic read-out: the features hold numbers that are not finite");
}

/// The penalised mean cross-entropy of w [columns, classes] and a bias.
class Objective {
 public:
  Objective(const MatrixXd& x, const std::vector<std::int32_t>& labels, std::int64_t classes, double strength)
      : x_(x), labels_(labels), classes_(classes), strength_(strength) {}

  Eigen::Index parameters() const { return (x_.cols() + 1) * classes_; }

  double operator()(const VectorXd& parameters, VectorXd& gradient) const {
    const Eigen::Map<const MatrixXd> w(parameters.data(), x_.cols(), classes_);
    const auto bias = parameters.tail(classes_);
    MatrixXd p = (x_ * w).rowwise() + bias.transpose();
    double loss = 0.0;
    for (Eigen::Index i = 0; i < p.rows(); ++i) {
      const double right = p(i, labels_[static_cast<std::size_t>(i)]);
      const double largest = p.row(i).maxCoeff();
      p.row(i) = (p.row(i).array() - largest).exp();
      const double sum = p.row(i).sum();
      loss += std::log(sum) + largest - right;
      p.row(i) /= sum;
      p(i, labels_[static_cast<std::size_t>(i)]) -= 1.0;
    }
    const auto n = static_cast<double>(p.rows());
    p /= n;
    Eigen::Map<MatrixXd>(gradient.data(), x_.cols(), classes_) = x_.transpose() * p + strength_ * w;
    gradient.tail(classes_) = p.colwise().sum().transpose();
    return loss / n + 0.5 * strength_ * w.squaredNorm();
  }

 private:
  const MatrixXd& x_;
  const std::vector<std::int32_t>& labels_;
  Eigen::Index classes_;
  double strength_;
};

}  // namespace

LogisticClassifier::LogisticClassifier(const rule::Matrix& train, const std::vector<std::int32_t>& labels,
                                       std::int64_t classes, double strength)
    : classes_(classes) {
  check(train, labels, classes, strength);
  MatrixXd x = rows_of(train).cast<double>();
  const rule::Scaling scaling(train);
  const Eigen::Map<const RowVectorXd> mean(scaling.mean.data(), x.cols()),
      scale(scaling.scale.data(), x.cols());
  x.rowwise() -= mean;
  x.array().rowwise() *= scale.array();

  // xᵀ = q r: the optimum is w = q v, and ‖w‖ = ‖v‖.
  MatrixXd q;
  if (x.cols() > x.rows()) {
    const Eigen::HouseholderQR<MatrixXd> qr(x.transpose());
    q = qr.householderQ() * MatrixXd::Identity(x.cols(), x.rows());
    x = (x * q).eval();
  }
  const Objective objective(x, labels, classes, strength);
  const VectorXd best = minimise(objective, VectorXd::Zero(objective.parameters()), kTolerance, kIterations);

  MatrixXd w = Eigen::Map<const MatrixXd>(best.data(), x.cols(), classes);
  if (q.size() > 0) w = (q * w).eval();
  w.array().colwise() *= scale.transpose().array();
  weights_.resize(static_cast<std::size_t>((train.columns + 1) * classes));
  Eigen::Map<Rows<double>> stored(weights_.data(), train.columns + 1, classes);
  stored.topRows(train.columns) = w;
  stored.row(train.columns) = best.tail(classes).transpose() - mean * w;
}

std::vector<std::int32_t> LogisticClassifier::predict(const rule::Matrix& test) const {
  return rule::linear_predictions("logistic read-out", weights_, classes_, test);
}

}  // namespace outerloop::baselines
