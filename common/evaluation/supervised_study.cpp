#include "common/evaluation/supervised_study.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <mutex>

#include "common/base/error.h"
#include "common/base/parallel.h"
#include "common/evaluation/labelled_batch.h"
#include "common/rule/base_model.h"
#include "common/rule/phi.h"

namespace outerloop::evaluation {
namespace {

using Vector = std::vector<double>;

constexpr double kMomentum = 0.9, kNone = std::numeric_limits<double>::quiet_NaN();
constexpr std::uint32_t kTuningStream = 1u << 30;  // evaluation tasks come from the streams from 0 on
constexpr std::int64_t kUnrollChunk = 32;          // inner steps whose minibatches are in memory at once

bool all_finite(const Vector& values) {
  return std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
}

/// θ of the same rule for plain SGD with this learning rate and momentum in all layers.
Vector theta_of(const rule::Layout& layout, double learning_rate, double momentum) {
  constexpr double kNoMomentum = -40.0;  // a logit of 0 in every precision
  Vector theta(static_cast<std::size_t>(layout.size()));
  for (const auto& tensor : layout.tensors()) {
    const bool rate = tensor.name.find("log_learning_rate") != std::string::npos;
    theta[static_cast<std::size_t>(tensor.offset)] = rate             ? std::log(learning_rate)
                                                     : momentum > 0.0 ? std::log(momentum / (1.0 - momentum))
                                                                      : kNoMomentum;
  }
  return theta;
}

/// Training method of a base model.
class Method {
 public:
  virtual ~Method() = default;
  virtual Vector train(rule::Engine& engine, const rule::Architecture& architecture, const Vector& phi,
                       const std::vector<rule::Batch>& minibatches) = 0;
};

class ByRule : public Method {
 public:
  explicit ByRule(Vector theta) : theta_(std::move(theta)) {}
  Vector train(rule::Engine& engine, const rule::Architecture& architecture, const Vector& phi,
               const std::vector<rule::Batch>& minibatches) override {
    return engine.unroll(architecture, theta_, phi, minibatches);
  }

 private:
  Vector theta_;
};

/// Kingma and Ba 2015, β₁ = .9, β₂ = .999, ε = 1e-8. The gradient is what a step of SGD leaves in empty
/// momentum buffers.
class Adam : public Method {
 public:
  explicit Adam(double learning_rate) : learning_rate_(learning_rate) {}

  Vector train(rule::Engine& engine, const rule::Architecture& architecture, const Vector& phi,
               const std::vector<rule::Batch>& minibatches) override {
    const auto layout = engine.phi_layout(architecture);
    const Vector any_rate = theta_of(engine.theta_layout(), 1e-3, kMomentum);
    Vector result = phi;
    m_.resize(phi.size());
    v_.resize(phi.size());
    for (const auto& minibatch : minibatches) {
      const Vector after = engine.unroll(architecture, any_rate, result, {minibatch});
      ++step_;
      for (std::int64_t l = 1; l <= architecture.layers(); ++l)
        for (const char* part : {"W", "b"}) {
          const auto& weights = layout.at(std::to_string(l) + "/" + part);
          const auto& gradient = layout.at(std::to_string(l) + "/momentum_" + part);
          for (std::int64_t i = 0; i < weights.size(); ++i)
            move(result[index(weights.offset + i)], after[index(gradient.offset + i)],
                 index(weights.offset + i));
        }
    }
    return result;
  }

 private:
  static std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

  void move(double& weight, double gradient, std::size_t i) {
    constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;
    m_[i] = kBeta1 * m_[i] + (1.0 - kBeta1) * gradient;
    v_[i] = kBeta2 * v_[i] + (1.0 - kBeta2) * gradient * gradient;
    const double m = m_[i] / (1.0 - std::pow(kBeta1, step_)), v = v_[i] / (1.0 - std::pow(kBeta2, step_));
    weight -= learning_rate_ * m / (std::sqrt(v) + kEpsilon);
  }

  double learning_rate_;
  double step_ = 0.0;
  Vector m_, v_;
};

/// Makes the method for one task.
using MakeMethod = std::function<std::unique_ptr<Method>(const rule::Layout& theta_layout)>;

MakeMethod maker(const std::string& name, double learning_rate) {
  return [name, learning_rate](const rule::Layout& layout) -> std::unique_ptr<Method> {
    if (name == "adam") return std::make_unique<Adam>(learning_rate);
    return std::make_unique<ByRule>(theta_of(layout, learning_rate, name == "momentum" ? kMomentum : 0.0));
  };
}

struct Judgement {
  double loss = kNone, accuracy = kNone;
};

/// The scores of all classes from the linear last layer of the built-in base model.
Vector top_scores(rule::Engine& engine, const rule::Architecture& architecture, const Vector& phi,
                  const rule::Matrix& features) {
  const auto layout = engine.phi_layout(architecture);
  const std::string top = std::to_string(architecture.layers());
  const double* W = phi.data() + layout.at(top + "/W").offset;
  const double* b = phi.data() + layout.at(top + "/b").offset;
  Vector scores;
  for (std::int64_t i = 0; i < features.rows; ++i)
    for (std::int64_t c = 0; c < architecture.outputs(); ++c) {
      double score = b[c];
      for (std::int64_t j = 0; j < features.columns; ++j)
        score += features.row(i)[j] * W[j * architecture.outputs() + c];
      scores.push_back(score);
    }
  return scores;
}

/// The share of the minibatch that the base model classifies right, by the minibatch's own statistics.
double accuracy_of(rule::Engine& engine, const rule::Architecture& architecture, const Vector& theta,
                   const Vector& phi, const rule::Batch& batch, std::int64_t classes) {
  const auto x = matrix_of(batch);
  const auto statistics = engine.calibrate(architecture, theta, phi, x);
  const auto features = engine.features(architecture, theta, phi, statistics, x);
  const Vector scores = engine.rule().script ? Vector(features.values.begin(), features.values.end())
                                             : top_scores(engine, architecture, phi, features);
  const auto labels = labels_of(batch, classes);
  std::int64_t right = 0;
  for (std::int64_t i = 0; i < features.rows; ++i) {
    std::int64_t best = 0;
    double highest = -std::numeric_limits<double>::infinity();
    for (std::int64_t c = 0; c < classes; ++c) {
      const double score = scores[static_cast<std::size_t>(i * architecture.outputs() + c)];
      if (score > highest) {
        highest = score;
        best = c;
      }
    }
    right += best == labels[static_cast<std::size_t>(i)] ? 1 : 0;
  }
  return static_cast<double>(right) / static_cast<double>(features.rows);
}

/// Trains one task by one method and evaluates it after each of `steps`.
class TaskWalk {
 public:
  /// `theta` judges: a module's features may depend on it.
  TaskWalk(rule::Engine& engine, Vector theta, const data::TaskDistribution& tasks, std::uint32_t stream,
           std::int64_t labelled_draws)
      : engine_(engine),
        theta_(std::move(theta)),
        tasks_(tasks),
        task_(tasks.sample(stream, 0)),
        labelled_draws_(labelled_draws) {
    phi_ = engine.initial_phi(task_.architecture, 0, stream, 0);
  }

  std::vector<Judgement> walk(Method& method, const std::vector<std::int64_t>& steps) {
    std::vector<Judgement> judgements;
    std::int64_t step = 0;
    for (const std::int64_t until : steps) {
      while (step < until) {
        const std::int64_t end = std::min(step + kUnrollChunk, until);
        std::vector<rule::Batch> minibatches;
        for (; step < end; ++step) minibatches.push_back(tasks_.step_data(task_, step).inner);
        phi_ = method.train(engine_, task_.architecture, phi_, minibatches);
      }
      judgements.push_back(all_finite(phi_) ? judge(steps.back()) : Judgement());
    }
    return judgements;
  }

 private:
  Judgement judge(std::int64_t first_draw) {
    Judgement result{0.0, 0.0};
    const auto share = 1.0 / static_cast<double>(labelled_draws_);
    for (std::int64_t draw = 0; draw < labelled_draws_; ++draw) {
      const auto data = tasks_.step_data(task_, first_draw + draw);
      result.loss += share * engine_.meta_objective(task_.architecture, theta_, phi_, data);
      result.accuracy += share * accuracy_of(engine_, task_.architecture, theta_, phi_, data.b, task_.way());
    }
    return std::isfinite(result.loss) ? result : Judgement();
  }

  rule::Engine& engine_;
  Vector theta_;
  const data::TaskDistribution& tasks_;
  data::Task task_;
  std::int64_t labelled_draws_;
  Vector phi_;
};

struct Candidate {
  std::string method;
  double learning_rate;
  MakeMethod make;
  Vector theta{};  ///< of the evaluated rule; empty: an optimizer that it is compared with
};

/// Evaluations by candidate and task; each task from the stream `first_stream` on.
std::vector<std::vector<std::vector<Judgement>>> walk_all(
    const RuleUnderTest& rule, const data::TaskDistribution& tasks, const SupervisedOptions& options,
    const std::vector<Candidate>& candidates, std::uint32_t first_stream, std::int64_t count,
    const std::vector<std::int64_t>& steps, const std::function<void()>& done) {
  std::vector<std::vector<std::vector<Judgement>>> all(
      candidates.size(), std::vector<std::vector<Judgement>>(static_cast<std::size_t>(count)));
  std::mutex mutex;
  const auto threads = static_cast<std::size_t>(std::max(1, options.threads));
  std::vector<std::unique_ptr<rule::Engine>> engines(threads), of_optimizers(threads);
  base::for_each_index(
      count * static_cast<std::int64_t>(candidates.size()), options.threads,
      [&](std::size_t thread, std::int64_t i) {
        const auto c = static_cast<std::size_t>(i / count), t = static_cast<std::size_t>(i % count);
        const bool optimizer = candidates[c].theta.empty() && rule.make_sgd_engine;
        auto& engine = optimizer ? of_optimizers[thread] : engines[thread];
        if (!engine) engine = optimizer ? rule.make_sgd_engine() : rule.make_engine();
        const Vector theta =
            candidates[c].theta.empty() ? theta_of(engine->theta_layout(), 1e-3, 0.0) : candidates[c].theta;
        TaskWalk task(*engine, theta, tasks, first_stream + static_cast<std::uint32_t>(t),
                      options.labelled_draws);
        const auto method = candidates[c].make(engine->theta_layout());
        all[c][t] = task.walk(*method, steps);
        const std::lock_guard<std::mutex> lock(mutex);
        done();
      });
  return all;
}

std::vector<Candidate> tuning_candidates() {
  constexpr int kRates = 9;
  std::vector<Candidate> candidates;
  for (const auto& [name, smallest] :
       {std::pair<const char*, double>("sgd", -3.0), {"momentum", -4.0}, {"adam", -4.0}})
    for (int i = 0; i < kRates; ++i) {
      const double rate = std::pow(10.0, smallest + 0.5 * i);
      candidates.push_back({name, rate, maker(name, rate)});
    }
  return candidates;
}

/// The candidate with the lowest mean loss, for each method.
std::vector<Candidate> chosen(const std::vector<Candidate>& candidates,
                              const std::vector<std::vector<std::vector<Judgement>>>& judged) {
  std::vector<Candidate> best;
  double lowest = std::numeric_limits<double>::infinity();
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    double sum = 0.0;
    for (const auto& task : judged[c]) sum += task.back().loss;
    const bool other = best.empty() || best.back().method != candidates[c].method;
    if (!other && !(sum < lowest)) continue;
    if (other)
      best.push_back(candidates[c]);
    else
      best.back() = candidates[c];
    lowest = std::isfinite(sum) ? sum : std::numeric_limits<double>::infinity();
  }
  return best;
}

}  // namespace

std::vector<std::int64_t> supervised_steps(std::int64_t horizon) {
  std::vector<std::int64_t> steps{horizon, 4 * horizon, 10 * horizon};
  for (std::int64_t power = 1; power < 10 * horizon; power *= 10)
    for (const std::int64_t factor : {1, 2, 5})
      if (power * factor < 10 * horizon) steps.push_back(power * factor);
  std::sort(steps.begin(), steps.end());
  steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
  return steps;
}

std::vector<SupervisedCurve> evaluate_supervised(const RuleUnderTest& rule,
                                                 const data::TaskDistribution& tasks,
                                                 const SupervisedOptions& options,
                                                 const DrawProgress& progress) {
  OUTERLOOP_CHECK(options.horizon >= 1 && options.tasks >= 1 && options.tuning_tasks >= 1,
                  "a supervised study of nothing");
  const auto candidates = tuning_candidates();
  const auto by = [](const Vector& theta) -> MakeMethod {
    return [theta](const rule::Layout&) { return std::make_unique<ByRule>(theta); };
  };
  std::vector<Candidate> methods{{"rule", 0.0, by(rule.theta), rule.theta},
                                 {"untrained", 0.0, by(rule.untrained), rule.untrained}};
  const auto total = options.tuning_tasks * static_cast<std::int64_t>(candidates.size()) +
                     options.tasks * static_cast<std::int64_t>(methods.size() + 3);
  std::int64_t walked = 0;
  const auto done = [&] { progress(++walked, total); };

  const auto tuned = walk_all(rule, tasks, options, candidates, kTuningStream, options.tuning_tasks,
                              {options.horizon}, done);
  for (auto& candidate : chosen(candidates, tuned)) methods.push_back(std::move(candidate));

  const auto steps = supervised_steps(options.horizon);
  const auto judged = walk_all(rule, tasks, options, methods, 0, options.tasks, steps, done);
  std::vector<SupervisedCurve> curves;
  for (std::size_t m = 0; m < methods.size(); ++m) {
    curves.push_back({methods[m].method, methods[m].learning_rate, {}});
    for (std::size_t s = 0; s < steps.size(); ++s) {
      Vector losses, accuracies;
      for (const auto& task : judged[m]) {
        losses.push_back(task[s].loss);
        accuracies.push_back(task[s].accuracy);
      }
      curves.back().points.push_back({steps[s], interval(losses), interval(accuracies)});
    }
  }
  return curves;
}

}  // namespace outerloop::evaluation
