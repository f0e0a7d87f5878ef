#include "tests/simulation/folder.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/base/sha256.h"
#include "tests/temporary_folder.h"

namespace outerloop::simulation {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

json to_json(const store::StreamState& s) {
  json lanes = json::array();
  for (const auto& lane : s.lanes)
    lanes.push_back(
        {lane.task, lane.step, lane.truncation, lane.units, lane.dataset, lane.permutation_seed, lane.phi});
  return {s.stream, s.task, s.step, s.truncation, s.begun_at, std::move(lanes)};
}

store::LaneState lane_from_json(const json& j) {
  store::LaneState lane;
  lane.task = j.at(0).get<std::uint32_t>();
  lane.step = j.at(1).get<std::int64_t>();
  lane.truncation = j.at(2).get<std::uint32_t>();
  lane.units = j.at(3).get<std::vector<std::int64_t>>();
  lane.dataset = j.at(4).get<std::string>();
  lane.permutation_seed = j.at(5).get<std::uint64_t>();
  lane.phi = j.at(6).get<std::vector<double>>();
  return lane;
}

store::StreamState stream_from_json(const json& j) {
  store::StreamState s;
  s.stream = j.at(0).get<std::uint32_t>();
  s.task = j.at(1).get<std::uint32_t>();
  s.step = j.at(2).get<std::int64_t>();
  s.truncation = j.at(3).get<std::uint32_t>();
  s.begun_at = j.at(4).get<std::int64_t>();
  for (const auto& lane : j.at(5)) s.lanes.push_back(lane_from_json(lane));
  return s;
}

json to_json(const std::optional<store::SafePoint>& p) {
  if (!p) return nullptr;
  return {p->update, p->theta, p->theta_average, p->adam_m, p->adam_v};
}

std::optional<store::SafePoint> safe_point_from_json(const json& j) {
  if (j.is_null()) return std::nullopt;
  using Numbers = std::vector<double>;
  return store::SafePoint{j.at(0).get<std::int64_t>(), j.at(1).get<Numbers>(), j.at(2).get<Numbers>(),
                          j.at(3).get<Numbers>(), j.at(4).get<Numbers>()};
}

std::string encode(const store::Checkpoint& c) {
  json streams = json::array();
  for (const auto& stream : c.streams) streams.push_back(to_json(stream));
  const json all = {c.rule.theta,
                    c.rule.theta_average,
                    c.rule.update,
                    c.rule.engine,
                    c.rule.instruction_set,
                    c.adam_m,
                    c.adam_v,
                    c.adam_step,
                    c.history,
                    std::move(streams),
                    c.counters,
                    c.seconds,
                    to_json(c.safe_point)};
  std::string bytes;
  json::to_cbor(all, bytes);
  base::Sha256 hash;
  hash.update(bytes.data(), bytes.size());
  return base::hex(hash.finish()) + bytes;
}

/// `layout` is not stored: it is the same in all of a run's checkpoints.
std::optional<store::Checkpoint> decode(const std::string& bytes, const rule::Layout& layout) {
  constexpr std::size_t kHex = 64;
  if (bytes.size() < kHex) return std::nullopt;
  base::Sha256 hash;
  hash.update(bytes.data() + kHex, bytes.size() - kHex);
  if (base::hex(hash.finish()) != bytes.substr(0, kHex)) return std::nullopt;
  const json all = json::from_cbor(bytes.begin() + kHex, bytes.end());
  store::Checkpoint c;
  c.rule.rule = "neuron_local";
  c.rule.layout = layout;
  c.rule.theta = all.at(0).get<std::vector<double>>();
  c.rule.theta_average = all.at(1).get<std::vector<double>>();
  c.rule.update = all.at(2).get<std::int64_t>();
  c.rule.engine = all.at(3).get<std::string>();
  c.rule.instruction_set = all.at(4).get<std::string>();
  c.adam_m = all.at(5).get<std::vector<double>>();
  c.adam_v = all.at(6).get<std::vector<double>>();
  c.adam_step = all.at(7).get<std::int64_t>();
  c.history = all.at(8).get<std::map<std::string, std::vector<double>>>();
  for (const auto& stream : all.at(9)) c.streams.push_back(stream_from_json(stream));
  c.counters = all.at(10).get<std::map<std::string, std::int64_t>>();
  c.seconds = all.at(11).get<double>();
  c.safe_point = safe_point_from_json(all.at(12));
  return c;
}

class MemoryFolder : public Folder {
 public:
  void write(const store::Checkpoint& checkpoint, const std::optional<Cut>& cut) override {
    layout_ = checkpoint.rule.layout;
    std::string bytes = encode(checkpoint);
    if (cut) {
      bytes.resize(static_cast<std::size_t>(cut->at * static_cast<double>(bytes.size())));
      if (cut->renamed) files_[checkpoint.rule.update] = bytes;  // otherwise it has a name that is never read
      throw Died{};
    }
    files_.erase(files_.upper_bound(checkpoint.rule.update), files_.end());
    files_[checkpoint.rule.update] = std::move(bytes);
    while (static_cast<std::int64_t>(files_.size()) > kKeep) files_.erase(files_.begin());
  }

  std::optional<store::Checkpoint> read_latest() override {
    for (auto file = files_.rbegin(); file != files_.rend(); ++file)
      if (auto checkpoint = decode(file->second, layout_)) return checkpoint;
    return std::nullopt;
  }

 private:
  rule::Layout layout_;
  std::map<std::int64_t, std::string> files_;
};

class DiskFolder : public Folder {
 public:
  void write(const store::Checkpoint& checkpoint, const std::optional<Cut>& cut) override {
    if (!cut) {
      folder_.write(checkpoint, kKeep);
      return;
    }
    const std::string whole = scratch_ / "whole.h5";
    store::write_checkpoint(whole, checkpoint);
    fs::resize_file(whole, static_cast<std::uintmax_t>(cut->at * static_cast<double>(fs::file_size(whole))));
    fs::create_directories(directory());
    const std::string path = folder_.path_of(checkpoint.rule.update);
    fs::rename(whole, cut->renamed ? path : path + ".1.0.tmp");
    throw Died{};
  }

  std::optional<store::Checkpoint> read_latest() override {
    store::CheckpointFolder::Found found;
    try {
      if (folder_.read_latest(found)) return found.checkpoint;
    } catch (const InputError&) {  // the very first write was truncated
      fs::remove_all(directory());
    }
    return std::nullopt;
  }

 private:
  std::string directory() const { return scratch_ / "checkpoints"; }

  tests::TemporaryFolder scratch_;
  store::CheckpointFolder folder_{directory()};
};

}  // namespace

std::unique_ptr<Folder> make_memory_folder() { return std::make_unique<MemoryFolder>(); }
std::unique_ptr<Folder> make_disk_folder() { return std::make_unique<DiskFolder>(); }

}  // namespace outerloop::simulation
