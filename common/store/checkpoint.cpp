// Checkpoints: a rule with the state to resume meta-training from. Layout: docs/checkpoints.md.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "common/base/error.h"
#include "common/rule/phi.h"
#include "common/store/files.h"
#include "common/store/rule_file.h"

namespace outerloop::store {
namespace {

constexpr const char* kHistory = "/history/";
constexpr const char* kStreams = "/streams/";
constexpr const char* kLanes = "lanes/";  // in a stream's group
constexpr const char* kCounters = "/counters/";
constexpr const char* kDatasets = "/datasets/";
constexpr const char* kFirstMoment = "/adam/m/";
constexpr const char* kSecondMoment = "/adam/v/";
const std::string kSafePoint = "/safe_point/";

void add(Document& document, const std::string& path, Dataset dataset) {
  if (!document.datasets.emplace(path, std::move(dataset)).second) throw Error(path + " exists twice");
}

/// φ's layout, if `units` are valid and φ of that size fits a vector of `values`.
rule::Layout phi_layout(const RuleFile& file, const std::vector<std::int64_t>& units, std::size_t values) {
  const auto limit = static_cast<std::int64_t>(values);
  const bool sane = units.size() >= 2 && units.size() <= values + 2 &&
                    std::all_of(units.begin(), units.end(), [&](auto n) { return n >= 1 && n <= limit; });
  if (!sane && !file.script) return rule::Layout();
  std::int64_t weights = 0;
  for (std::size_t l = 1; l < units.size() && !file.script; ++l) {
    if (units[l - 1] > limit / units[l]) return rule::Layout();
    weights += units[l - 1] * units[l];
    if (weights > limit) return rule::Layout();
  }
  rule::RuleOptions options;
  options.name = file.rule;
  options.script = file.script;
  return rule::phi_layout(options, {units, rule::Nonlinearity::relu});
}

std::string sizes_differ(std::uint32_t stream, const std::string& rule_name, std::size_t values) {
  return "stream " + std::to_string(stream) + ": φ has " + std::to_string(values) +
         " values, which is not what its units give under the rule " + rule_name;
}

void encode_phi(const RuleFile& file, std::uint32_t stream, const LaneState& lane, const std::string& group,
                Document& document) {
  if (lane.phi.empty()) return;
  const auto layout = phi_layout(file, lane.units, lane.phi.size());
  if (layout.size() != static_cast<std::int64_t>(lane.phi.size()))
    throw Error(sizes_differ(stream, file.rule, lane.phi.size()));
  std::int64_t position = 0;
  for (const auto& tensor : layout.tensors()) {
    auto dataset = Dataset::float64(lane.phi, tensor.offset, tensor.shape).with_axes(tensor.axes);
    // Only a module knows the order of its tensors, and readers do not run it.
    if (file.script) dataset.attributes["position"] = position++;
    add(document, group + "phi/" + tensor.name, std::move(dataset));
  }
  for (std::size_t p = 0; p < lane.pairs.size(); ++p) {
    const auto flat = [&](const char* name, const std::vector<double>& values) {
      add(document, group + "pairs/" + std::to_string(p) + "/" + name,
          Dataset::float64(values, 0, {static_cast<std::int64_t>(values.size())}).with_axes("number"));
    };
    flat("noise", lane.pairs[p].noise);
    flat("phi_plus", lane.pairs[p].phi_plus);
    flat("phi_minus", lane.pairs[p].phi_minus);
  }
}

void encode_position(const std::string& group, std::uint32_t task, std::int64_t step,
                     std::uint32_t truncation, Document& document) {
  add(document, group + "task", Dataset::integer(task));
  add(document, group + "step", Dataset::integer(step));
  add(document, group + "truncation", Dataset::integer(truncation));
}

/// All of a lane but its position.
void encode_lane(const RuleFile& file, std::uint32_t stream, const LaneState& lane, const std::string& group,
                 Document& document) {
  add(document, group + "units", Dataset::integers(lane.units).with_axes("layer"));
  add(document, group + "dataset", Dataset::text(lane.dataset));
  add(document, group + "permutation_seed", Dataset::unsigned_integer(lane.permutation_seed));
  encode_phi(file, stream, lane, group, document);
}

/// A stream of one lane has that lane's task in its own group.
void encode_stream(const RuleFile& file, const StreamState& state, Document& document) {
  const std::string group = kStreams + std::to_string(state.stream) + "/";
  encode_position(group, state.task, state.step, state.truncation, document);
  add(document, group + "begun_at", Dataset::integer(state.begun_at));
  if (state.lanes.size() < 2)
    return encode_lane(file, state.stream, state.lanes.empty() ? LaneState() : state.lanes.front(), group,
                       document);
  for (std::size_t l = 0; l < state.lanes.size(); ++l) {
    const LaneState& lane = state.lanes[l];
    const std::string own = group + kLanes + std::to_string(l) + "/";
    encode_position(own, lane.task, lane.step, lane.truncation, document);
    encode_lane(file, state.stream, lane, own, document);
  }
}

void encode_safe_point(const SafePoint& point, const rule::Layout& layout, Document& document) {
  add(document, kSafePoint + "update", Dataset::integer(point.update));
  encode_moments(kSafePoint + "theta/", layout, point.theta, document);
  if (!point.theta_average.empty())
    encode_moments(kSafePoint + "theta_average/", layout, point.theta_average, document);
  encode_moments(kSafePoint + "adam/m/", layout, point.adam_m, document);
  encode_moments(kSafePoint + "adam/v/", layout, point.adam_v, document);
}

void encode_history(const Checkpoint& checkpoint, Document& document) {
  for (const auto& [name, column] : checkpoint.history) {
    const auto& first = *checkpoint.history.begin();
    if (column.size() != first.second.size())
      throw Error("history: " + name + " has " + std::to_string(column.size()) + " entries, " + first.first +
                  " " + std::to_string(first.second.size()) + ": it cannot be stored");
    add(document, kHistory + link_name(name),
        Dataset::float64(column, 0, {static_cast<std::int64_t>(column.size())}).with_axes("update"));
  }
}

std::int64_t counter_at(const DocumentReader& reader, const std::string& path) {
  const std::int64_t value = reader.integer(path);
  if (value < 0) reader.refuse(path + " is out of range: " + std::to_string(value));
  return value;
}

/// A counter of updates or steps, with which one calculates.
std::int64_t count_at(const DocumentReader& reader, const std::string& path) {
  const std::int64_t value = counter_at(reader, path);
  if (value > kMostCounted) reader.refuse(path + " is out of range: " + std::to_string(value));
  return value;
}

std::uint32_t unsigned_32(const DocumentReader& reader, const std::string& path) {
  const std::int64_t value = reader.integer(path);
  if (value < 0 || value > std::int64_t{0xffffffff})
    reader.refuse(path + " is out of range: " + std::to_string(value));
  return static_cast<std::uint32_t>(value);
}

/// φ of a module: its tensors in the order of their positions, which are 0, 1, 2, ...
std::vector<double> decode_module_phi(const DocumentReader& reader, const std::string& group) {
  std::map<std::int64_t, std::string> paths;
  std::int64_t tensors = 0;
  for (const auto& layer : reader.links(group))
    for (const auto& tensor : reader.links(group + layer + "/")) {
      const std::string path = group + layer + "/" + tensor;
      paths[reader.integer_attribute(reader.dataset(path).attributes, path, "position")] = path;
      ++tensors;
    }
  const auto found = static_cast<std::int64_t>(paths.size());
  if (found != tensors || (found > 0 && (paths.begin()->first != 0 || paths.rbegin()->first != found - 1)))
    reader.refuse(group + ": a tensor of φ is missing, or two have one position");
  std::vector<double> phi;
  for (const auto& entry : paths) {
    const auto part = reader.numbers(entry.second);
    phi.insert(phi.end(), part.begin(), part.end());
  }
  return phi;
}

std::vector<double> decode_phi(const DocumentReader& reader, const RuleFile& file, std::uint32_t stream,
                               const LaneState& lane, const std::string& group) {
  if (file.script) return decode_module_phi(reader, group);
  std::size_t values = 0, tensors = 0;
  for (const auto& layer : reader.links(group))
    for (const auto& tensor : reader.links(group + layer + "/")) {
      values += reader.dataset(group + layer + "/" + tensor).bytes.size() / sizeof(double);
      ++tensors;
    }
  if (tensors == 0) return {};
  const auto layout = phi_layout(file, lane.units, values);
  if (layout.size() != static_cast<std::int64_t>(values) || layout.tensors().size() != tensors)
    reader.refuse(sizes_differ(stream, file.rule, values));
  std::vector<double> phi;
  for (const auto& tensor : layout.tensors()) {
    if (reader.dataset(group + tensor.name).shape != tensor.shape)
      reader.refuse(group + tensor.name + " has another shape");
    const auto part = reader.numbers(group + tensor.name);
    phi.insert(phi.end(), part.begin(), part.end());
  }
  return phi;
}

/// In the order of their numbers. Sizes are compared with θ when the stream is resumed.
std::vector<rule::PerturbedPair> decode_pairs(const DocumentReader& reader, const LaneState& lane,
                                              const std::string& group) {
  std::vector<rule::PerturbedPair> pairs(reader.links(group).size());
  for (std::size_t p = 0; p < pairs.size(); ++p) {
    const std::string pair = group + std::to_string(p) + "/";
    pairs[p] = {reader.numbers(pair + "noise"), reader.numbers(pair + "phi_plus"),
                reader.numbers(pair + "phi_minus")};
    if (pairs[p].phi_plus.size() != lane.phi.size() || pairs[p].phi_minus.size() != lane.phi.size())
      reader.refuse(pair + ": its φ are not as long as the stream's");
  }
  return pairs;
}

LaneState decode_lane(const DocumentReader& reader, const RuleFile& file, std::uint32_t stream,
                      const std::string& group) {
  LaneState lane;
  lane.task = unsigned_32(reader, group + "task");
  lane.step = count_at(reader, group + "step");
  lane.truncation = unsigned_32(reader, group + "truncation");
  lane.units = reader.integers(group + "units");
  lane.dataset = reader.text(group + "dataset");
  lane.permutation_seed = reader.unsigned_integer(group + "permutation_seed");
  lane.phi = decode_phi(reader, file, stream, lane, group + "phi/");
  lane.pairs = decode_pairs(reader, lane, group + "pairs/");
  return lane;
}

StreamState decode_stream(const DocumentReader& reader, const RuleFile& file, const std::string& link) {
  StreamState state;
  const std::string group = kStreams + link + "/";
  const auto [end, error] = std::from_chars(link.data(), link.data() + link.size(), state.stream);
  if (error != std::errc() || end != link.data() + link.size()) reader.refuse(group + ": no stream number");
  state.task = unsigned_32(reader, group + "task");
  state.step = count_at(reader, group + "step");
  state.truncation = unsigned_32(reader, group + "truncation");
  if (reader.contains(group + "begun_at")) state.begun_at = count_at(reader, group + "begun_at");
  const std::size_t lanes = reader.links(group + kLanes).size();
  for (std::size_t l = 0; l < lanes; ++l)
    state.lanes.push_back(decode_lane(reader, file, state.stream, group + kLanes + std::to_string(l) + "/"));
  if (lanes == 0) state.lanes.push_back(decode_lane(reader, file, state.stream, group));
  const bool begun = !state.lanes.front().phi.empty();
  for (const auto& lane : state.lanes)
    if (lane.phi.empty() == begun) reader.refuse(group + ": some of its lanes have no φ");
  if (!begun) state.lanes.clear();
  return state;
}

/// Either complete or absent: decode_flat returns an empty vector for an absent group.
std::optional<SafePoint> decode_safe_point(const DocumentReader& reader, const rule::Layout& layout) {
  if (!reader.contains(kSafePoint + "update")) return std::nullopt;
  SafePoint point;
  point.update = count_at(reader, kSafePoint + "update");
  point.theta = decode_flat(reader, kSafePoint + "theta/", layout);
  point.theta_average = decode_flat(reader, kSafePoint + "theta_average/", layout);
  point.adam_m = decode_flat(reader, kSafePoint + "adam/m/", layout);
  point.adam_v = decode_flat(reader, kSafePoint + "adam/v/", layout);
  if (point.theta.empty() || point.adam_m.empty() || point.adam_v.empty())
    reader.refuse(kSafePoint + " lacks a part");
  return point;
}

void decode_history(const DocumentReader& reader, Checkpoint& checkpoint) {
  for (const auto& link : reader.links(kHistory)) {
    if (reader.dataset(kHistory + link).shape.size() != 1) reader.refuse(kHistory + link + " is no column");
    auto& column = checkpoint.history[name_of_link(link)];
    column = reader.numbers(kHistory + link);
    if (column.size() != checkpoint.history.begin()->second.size())
      reader.refuse(kHistory + link + " has another length than the other columns");
  }
}

}  // namespace

Checkpoint decode_checkpoint(const DocumentReader& reader) {
  Checkpoint checkpoint;
  checkpoint.rule = decode_rule(reader);
  checkpoint.adam_m = decode_flat(reader, kFirstMoment, checkpoint.rule.layout);
  checkpoint.adam_v = decode_flat(reader, kSecondMoment, checkpoint.rule.layout);
  checkpoint.adam_step = count_at(reader, "/adam/step");
  checkpoint.safe_point = decode_safe_point(reader, checkpoint.rule.layout);
  checkpoint.seconds = reader.real_attribute(reader.root(), "/", "seconds");
  if (!std::isfinite(checkpoint.seconds) || checkpoint.seconds < 0.0)
    reader.refuse("attribute seconds is out of range: " + std::to_string(checkpoint.seconds));
  decode_history(reader, checkpoint);
  for (const auto& link : reader.links(kStreams))
    checkpoint.streams.push_back(decode_stream(reader, checkpoint.rule, link));
  std::sort(checkpoint.streams.begin(), checkpoint.streams.end(),
            [](const auto& a, const auto& b) { return a.stream < b.stream; });
  for (std::size_t i = 1; i < checkpoint.streams.size(); ++i)
    if (checkpoint.streams[i - 1].stream == checkpoint.streams[i].stream)
      reader.refuse("stream " + std::to_string(checkpoint.streams[i].stream) + " is there twice");
  for (const auto& link : reader.links(kCounters))
    checkpoint.counters[name_of_link(link)] = counter_at(reader, kCounters + link);
  for (const auto& link : reader.links(kDatasets))
    checkpoint.dataset_sha256[name_of_link(link)] = reader.text(kDatasets + link);
  return checkpoint;
}

std::string write_rule(const std::string& path, const RuleFile& file) {
  Document document;
  const std::string sha256 = encode_rule(file, document);
  write_document(path, Kind::theta, document);
  return sha256;
}

std::string write_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
  Document document;
  const std::string sha256 = encode_rule(checkpoint.rule, document);
  const auto& layout = checkpoint.rule.layout;
  if (!checkpoint.adam_m.empty()) encode_moments(kFirstMoment, layout, checkpoint.adam_m, document);
  if (!checkpoint.adam_v.empty()) encode_moments(kSecondMoment, layout, checkpoint.adam_v, document);
  add(document, "/adam/step", Dataset::integer(checkpoint.adam_step));
  if (checkpoint.safe_point) encode_safe_point(*checkpoint.safe_point, layout, document);
  encode_history(checkpoint, document);
  for (const auto& state : checkpoint.streams) encode_stream(checkpoint.rule, state, document);
  for (const auto& [name, count] : checkpoint.counters)
    add(document, kCounters + link_name(name), Dataset::integer(count));
  for (const auto& [key, hash] : checkpoint.dataset_sha256)
    add(document, kDatasets + link_name(key), Dataset::text(hash));
  document.attributes["seconds"] = checkpoint.seconds;
  write_document(path, Kind::checkpoint, document);
  return sha256;
}

RuleFile read_rule(const std::string& path) {
  const auto opened = open_document(path);
  if (opened.kind == Kind::evaluation)
    throw InputError(path + ": holds an evaluation, no rule; give a rule.h5");
  if (opened.kind == Kind::model)
    throw InputError(path + ": holds a base model, no rule; give a rule.h5, or --model to apply");
  return decode_rule(DocumentReader(opened.document, path));
}

Checkpoint read_checkpoint(const std::string& path) {
  const auto opened = open_document(path);
  if (opened.kind != Kind::checkpoint)
    throw InputError(path + ": is of kind " + kind_name(opened.kind) +
                     ", no checkpoint; give a file of a run's checkpoints folder");
  return decode_checkpoint(DocumentReader(opened.document, path));
}

Contents read_contents(const std::string& path) {
  const auto opened = open_document(path);
  const DocumentReader reader(opened.document, path);
  if (opened.kind == Kind::evaluation) reader.refuse("holds an evaluation, which this version does not read");
  if (opened.kind == Kind::model)
    reader.refuse("holds a base model, no rule; give a rule.h5 or a checkpoint");
  Contents contents;
  contents.kind = opened.kind;
  contents.format_version = opened.format_version;
  contents.checksum = opened.checksum;
  contents.theta_sha256 = reader.text_attribute(reader.root(), "/", "theta_sha256");
  if (opened.kind == Kind::checkpoint)
    contents.checkpoint = decode_checkpoint(reader);
  else
    contents.checkpoint.rule = decode_rule(reader);
  return contents;
}

bool phi_fits(const RuleFile& file, const std::vector<std::int64_t>& units, std::size_t values) {
  try {
    return phi_layout(file, units, values).size() == static_cast<std::int64_t>(values);
  } catch (const Error&) {
    return false;  // a module has no base model of these units
  }
}

Kind read_kind(const std::string& path) { return open_document(path).kind; }

}  // namespace outerloop::store
