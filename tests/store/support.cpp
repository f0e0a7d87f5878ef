#include "tests/store/support.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "common/rule/phi.h"

namespace outerloop::tests {

namespace fs = std::filesystem;
using rule::Initializer;

std::vector<std::string> Folder::names() const {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(path())) found.push_back(entry.path().filename().string());
  std::sort(found.begin(), found.end());
  return found;
}

std::string read_bytes(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

store::RuleFile sample_rule() {
  store::RuleFile file;
  file.rule = "neuron_local";
  file.layout = rule::Layout(
      {{"top.in.w", {2, 3}, "kernel,channel_out", Initializer::truncated_normal(0.1 / 3), false, 0},
       {"delta.b", {4}, "channel_out", Initializer::constant(0.0), true, 0},
       {"merge.w", {1, 1, 2}, "a,b,term", Initializer::constant(0.1), false, 0}});
  for (int i = 0; i < 12; ++i) {
    file.theta.push_back(static_cast<float>(0.1 * i - 0.35));
    file.theta_average.push_back(static_cast<float>(0.07 * i - 0.2));
  }
  file.update = 7;
  file.git_revision = "0123abc";
  file.config = "mode: asynchronous\nseed: 1\n";
  file.created = "2026-01-02T03:04:05Z";
  return file;
}

store::Checkpoint sample_checkpoint(std::int64_t update) {
  store::Checkpoint checkpoint;
  checkpoint.rule = sample_rule();
  checkpoint.rule.update = update;
  for (int i = 0; i < 12; ++i) {
    checkpoint.adam_m.push_back(1.0 / (3 + i));
    checkpoint.adam_v.push_back(1e-9 / (7 + i));
  }
  checkpoint.adam_step = update;
  checkpoint.history["update"] = {1, 2, 3};
  checkpoint.history["seconds"] = {0.25, 0.5, 0.75};
  checkpoint.history["meta_objective"] = {1.5, std::numeric_limits<double>::quiet_NaN(), 1.25};
  store::StreamState begun;
  begun.stream = 10;
  begun.task = 3;
  begun.step = 25;
  begun.truncation = 6;
  begun.begun_at = 40;
  begun.lanes.resize(1);
  store::LaneState& lane = begun.lanes.front();
  lane.task = begun.task;
  lane.step = begun.step;
  lane.truncation = begun.truncation;
  lane.units = {5, 4, 3};
  lane.dataset = "glyphs";
  lane.permutation_seed = (std::uint64_t{10} << 32) | 3;
  rule::RuleOptions options;
  options.name = checkpoint.rule.rule;
  lane.phi = rule::initial_phi(rule::phi_layout(options, {lane.units, {}}), 1, 10, 3);
  lane.phi[0] = 1.0 / 3.0;  // needs float64
  lane.pairs = {{checkpoint.rule.theta, lane.phi, lane.phi}, {checkpoint.rule.theta, lane.phi, lane.phi}};
  lane.pairs[1].noise[0] = 1.0 / 7.0;
  lane.pairs[1].phi_minus[0] = 1.0 / 9.0;
  store::StreamState fresh;
  fresh.stream = 2;
  checkpoint.streams = {fresh, begun};
  checkpoint.counters = {{"gradients", 56}, {"refused.stale", 2}, {"workers_lost", 0}};
  checkpoint.seconds = 12.5;
  checkpoint.safe_point =
      store::SafePoint{2, checkpoint.rule.theta, checkpoint.rule.theta, checkpoint.adam_v, checkpoint.adam_m};
  checkpoint.safe_point->theta[0] = 0.125;
  checkpoint.dataset_sha256 = {{"glyphs", std::string(64, 'a')},
                               {"folder:/data/photos, 10%", std::string(64, 'b')}};
  return checkpoint;
}

}  // namespace outerloop::tests
