#include "common/store/events.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/crc.hpp>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <system_error>

#include "common/base/error.h"
#include "common/store/grey_png.h"
#include "common/store/little_endian.h"
#include "outerloop/events.pb.h"

namespace outerloop::store {
namespace {

using nlohmann::json;

constexpr int kTextType = 7;  // DT_STRING
constexpr int kBuckets = 30;

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// A name that TensorBoard recognises as an event file and that sorts after older ones.
std::string new_path(const std::string& folder) {
  static std::atomic<int> made{0};
  char host[256] = "host";
  gethostname(host, sizeof host - 1);
  return folder + "/events.out.tfevents." + std::to_string(static_cast<std::int64_t>(wall_time())) + "." +
         host + "." + std::to_string(getpid()) + "." + std::to_string(made++);
}

events::Event event_at(std::int64_t update) {
  events::Event event;
  event.set_wall_time(wall_time());
  event.set_step(update);
  return event;
}

void add_bucket(events::Histogram& histogram, double limit, double count) {
  histogram.add_bucket_limit(limit);
  histogram.add_bucket(count);
}

/// Buckets of one width from the smallest to the largest number; non-finite numbers are left out.
events::Histogram histogram_of(const double* first, std::int64_t count) {
  events::Histogram histogram;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  std::vector<double> finite;
  std::copy_if(first, first + count, std::back_inserter(finite), [](double x) { return std::isfinite(x); });
  double sum = 0.0, squares = 0.0;
  for (const double x : finite) {
    low = std::min(low, x);
    high = std::max(high, x);
    sum += x;
    squares += x * x;
  }
  if (finite.empty()) return histogram;
  const double width = high > low ? (high - low) / kBuckets : 1.0;
  std::vector<double> buckets(kBuckets);
  for (const double x : finite)
    ++buckets[std::clamp(static_cast<std::size_t>((x - low) / width), std::size_t{0},
                         std::size_t{kBuckets - 1})];
  for (int i = 0; i < kBuckets; ++i)
    add_bucket(histogram, i + 1 < kBuckets ? low + width * (i + 1) : std::max(high, low + width * (i + 1)),
               buckets[i]);
  histogram.set_min(low);
  histogram.set_max(high);
  histogram.set_num(static_cast<double>(finite.size()));
  histogram.set_sum(sum);
  histogram.set_sum_squares(squares);
  return histogram;
}

void add_number(std::map<std::string, double>& scalars, const std::string& name, const json& value) {
  if (value.is_number() && std::isfinite(value.get<double>())) scalars[name] = value.get<double>();
}

/// `of`: the key that names the subject of each score, dataset or domain.
void add_evaluation(std::map<std::string, double>& scalars, const std::string& tag, const char* of,
                    const json& scores) {
  for (const auto& score : scores)
    for (const char* name : {"meta_objective", "accuracy"})
      if (score.contains(name))
        add_number(scalars, tag + "/" + score.value("role", "") + "/" + score.value(of, "") + "/" + name,
                   score.at(name));
}

/// NAME of the curves NAME/KEY for an object with one entry per dataset, cause or domain.
std::string curve_name(const std::string& name) {
  const auto without = [&](const std::string& suffix) {
    const std::size_t size = name.size() > suffix.size() ? name.size() - suffix.size() : 0;
    return size > 0 && name.compare(size, suffix.size(), suffix) == 0 ? name.substr(0, size) : "";
  };
  if (const std::string curve = without("_of_domain"); !curve.empty()) return curve + "_domain";
  if (const std::string curve = without("_of"); !curve.empty()) return curve;
  return name;
}

}  // namespace

std::uint32_t masked_crc32c(std::string_view bytes) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  const std::uint32_t sum = crc.checksum();
  return ((sum >> 15) | (sum << 17)) + 0xa282ead8u;
}

std::map<std::string, double> scalars_of(const json& line) {
  std::map<std::string, double> scalars;
  for (const auto& [name, value] : line.items()) {
    if (name == "update" || name == "segment" || name == "gradients_of" || name == "refused_from") continue;
    if (name == "datasets") {
      add_evaluation(scalars, "evaluation", "dataset", value);
    } else if (name == "domains") {
      add_evaluation(scalars, "evaluation_domain", "domain", value);
    } else if (value.is_object()) {
      for (const auto& [key, number] : value.items())
        add_number(scalars, curve_name(name) + "/" + key, number);
    } else {
      add_number(scalars, name, value);
    }
  }
  return scalars;
}

EventLog::EventLog(const std::string& folder, std::int64_t last_update) : path_(new_path(folder)) {
  file_ = Descriptor(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file_.open()) throw Error(path_ + ": cannot be made: " + std::generic_category().message(errno));
  events::Event version = event_at(0);
  version.set_file_version("brain.Event:2");
  try {
    append(version.SerializeAsString());
    restart(last_update);
  } catch (const Error&) {
    unlink(path_.c_str());  // the next attempt takes another name
    throw;
  }
}

void EventLog::restart(std::int64_t last_update) {
  events::Event event = event_at(last_update + 1);
  event.mutable_session_log()->set_status(events::SessionLog::start);
  append(event.SerializeAsString());
}

void EventLog::scalars(const json& line) {
  events::Event event = event_at(line.at("update").get<std::int64_t>());
  for (const auto& [name, number] : scalars_of(line)) {
    auto* value = event.mutable_summary()->add_value();
    value->set_tag(name);
    value->set_scalar(static_cast<float>(number));
  }
  if (event.has_summary()) append(event.SerializeAsString());
}

void EventLog::text(std::int64_t update, const std::string& tag, const std::string& text) {
  events::Event event = event_at(update);
  auto* value = event.mutable_summary()->add_value();
  value->set_tag(tag);
  value->mutable_metadata()->mutable_plugin()->set_name("text");
  value->mutable_tensor()->set_type(kTextType);
  value->mutable_tensor()->mutable_shape()->add_dimension()->set_size(1);
  value->mutable_tensor()->add_text("```\n" + text + "\n```");
  append(event.SerializeAsString());
}

void EventLog::tensors(std::int64_t update, const std::string& group, const rule::Layout& layout,
                       const std::vector<double>& values) {
  events::Event event = event_at(update);
  for (const auto& tensor : layout.tensors()) {
    auto* value = event.mutable_summary()->add_value();
    value->set_tag(group + "/" + tensor.name);
    *value->mutable_histogram() = histogram_of(values.data() + tensor.offset, tensor.size());
  }
  append(event.SerializeAsString());
}

void EventLog::counts(std::int64_t update, const std::string& tag,
                      const std::map<std::int64_t, std::int64_t>& counts) {
  if (counts.empty()) return;
  events::Event event = event_at(update);
  auto* value = event.mutable_summary()->add_value();
  value->set_tag(tag);
  auto& histogram = *value->mutable_histogram();
  histogram.set_min(static_cast<double>(counts.begin()->first));
  histogram.set_max(static_cast<double>(counts.rbegin()->first));
  add_bucket(histogram, static_cast<double>(counts.begin()->first) - 0.5, 0.0);
  for (const auto& [number, times] : counts) {
    const auto x = static_cast<double>(number), n = static_cast<double>(times);
    add_bucket(histogram, x + 0.5, n);
    histogram.set_num(histogram.num() + n);
    histogram.set_sum(histogram.sum() + n * x);
    histogram.set_sum_squares(histogram.sum_squares() + n * x * x);
  }
  append(event.SerializeAsString());
}

void EventLog::picture(std::int64_t update, const std::string& tag, std::int64_t height, std::int64_t width,
                       const std::vector<double>& pixels) {
  events::Event event = event_at(update);
  auto* value = event.mutable_summary()->add_value();
  value->set_tag(tag);
  auto& image = *value->mutable_image();
  image.set_height(static_cast<int>(height));
  image.set_width(static_cast<int>(width));
  image.set_colorspace(1);
  image.set_png(grey_png(height, width, pixels));
  append(event.SerializeAsString());
}

void EventLog::append(const std::string& event) {
  const std::string length = little_endian(static_cast<std::uint64_t>(event.size()));
  const std::string record =
      length + little_endian(masked_crc32c(length)) + event + little_endian(masked_crc32c(event));
  const int code = write_fully(file_, record.data(), record.size());
  if (code == 0) {
    whole_ += static_cast<std::int64_t>(record.size());
    return;
  }
  // A truncated record would hide all records after it.
  if (ftruncate(file_.get(), whole_) == 0) lseek(file_.get(), whole_, SEEK_SET);
  throw Error(path_ + ": " + std::generic_category().message(code));
}

}  // namespace outerloop::store
