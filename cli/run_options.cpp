#include "cli/run_options.h"

#include <unistd.h>

#include "cli/evaluation_setup.h"
#include "common/net/peer_process.h"
#include "common/rule/device_choice.h"

namespace outerloop::cli {

coordinator::CoordinatorOptions coordinator_options(const Plan& plan, const RankSetup& setup,
                                                    std::int64_t workers) {
  const auto& config = plan.settings.config;
  coordinator::CoordinatorOptions options;
  options.deterministic = config.mode() == proto::Config::deterministic;
  options.updates = config.updates();
  options.seconds = config.seconds();
  options.batch = config.batch();
  options.streams = config.streams();
  options.group = config.tasks().group();
  options.staleness_bound = config.staleness_bound() > 0
                                ? config.staleness_bound()
                                : coordinator::default_staleness_bound(workers, config.batch());
  options.reject_norm = config.reject_norm();
  options.gradient_norm_clip = config.clip().gradient_norm();
  options.datasets = setup.training_names;
  options.phi_fits = [rule = plan.start.rule](const std::vector<std::int64_t>& units, std::size_t values) {
    return store::phi_fits(rule, units, values);
  };
  options.revision = program_revision();
  options.dataset_sha256 = setup.dataset_sha256;
  options.batch_norm_clip = config.clip().batch_norm();
  const auto& adam = config.optimizer();
  options.adam = {adam.learning_rate(),
                  adam.beta1(),
                  adam.beta2(),
                  adam.epsilon(),
                  adam.warmup_updates(),
                  adam.decay_updates(),
                  adam.final_learning_rate()};
  options.average_decay = adam.average_decay();
  const auto& back = config.step_back();
  options.step_back = {back.tolerance(), back.every_updates(), back.learning_rate_factor(), back.most()};
  options.checkpoint_every = config.checkpoint().every_updates();
  options.theta_snapshots = config.checkpoint().theta_snapshots();
  options.max_failures = config.max_failures();
  options.deadline = config.deadline_seconds();
  options.silence = config.silence_seconds();
  options.evaluation = evaluation_options(plan.settings);
  for (std::size_t i = 0; i < setup.domains.size(); ++i)
    options.evaluation.datasets.at(i).domain = setup.domains[i];
  options.best = plan.best;
  return options;
}

std::int64_t most_message_bytes(const Plan& plan, const RankSetup& setup) {
  const auto theta = static_cast<std::int64_t>(plan.start.rule.theta.size());
  return theta * static_cast<std::int64_t>(sizeof(float)) + setup.stream_bytes;
}

worker::StreamContext stream_context(const RankSetup& setup, const config::Settings& settings) {
  const auto& config = settings.config;
  const auto& unroll = config.unroll();
  return {*setup.engine,
          *setup.tasks,
          config.seed(),
          unroll.min_steps(),
          unroll.max_steps(),
          {unroll.curriculum_updates(), unroll.curriculum_steps(), config.tasks().max_inner_steps()},
          settings.estimator,
          unroll.distribution() == proto::log_uniform,
          config.tasks().group(),
          config.reject_norm(),
          config.engine().threads()};
}

bool prefetches(const proto::Config& config) { return !rule::is_cpu(config.device()); }

worker::WorkerOptions worker_options(const net::MpiSession& mpi, const RankSetup& setup,
                                     const proto::Config& config, bool joined) {
  return {config.clip().gradient_norm(),
          mpi.host(),
          getpid(),
          config.deadline_seconds(),
          config.mode() == proto::Config::deterministic,
          net::PeerProcess::here(),
          joined,
          program_revision(),
          setup.dataset_sha256,
          prefetches(config)};
}

}  // namespace outerloop::cli
