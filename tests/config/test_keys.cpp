// Keys: every key named in a message exists, and each default is defined in one place.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/config/schema.h"
#include "common/config/settings.h"
#include "tests/catch.h"

using namespace outerloop;

namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

/// Everything in a text that looks like a key: the name of a group of keys, then words separated by dots.
std::vector<std::string> keys_in(const std::string& text) {
  std::string groups;
  const Descriptor* type = proto::Config::descriptor();
  for (int i = 0; i < type->field_count(); ++i)
    if (type->field(i)->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
      groups += (groups.empty() ? "" : "|") + type->field(i)->name();
  const std::regex key("(^|[^a-z_./])((" + groups + ")(\\.[a-z_]+)+)(?![a-z_0-9./])");
  std::vector<std::string> keys;
  for (std::sregex_iterator match(text.begin(), text.end(), key), end; match != end; ++match)
    keys.push_back((*match)[2]);
  return keys;
}

/// A key that --set takes, or a group of them.
bool exists(const std::string& key) {
  const auto known = config::known_keys();
  return std::any_of(known.begin(), known.end(), [&](const std::string& one) {
    return one == key || one.compare(0, key.size() + 1, key + ".") == 0;
  });
}

/// The string literals of a source file, without its includes.
std::string literals(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::string result;
  for (std::string line; std::getline(stream, line);) {
    if (line.compare(0, 8, "#include") == 0) continue;
    bool inside = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (line[i] == '"' && (i == 0 || line[i - 1] != '\\')) inside = !inside;
      if (inside) result += line[i];
    }
    result += '\n';
  }
  return result;
}

/// The error message for these task options.
std::string refusal(const std::function<void(data::TaskOptions&)>& change) {
  auto options = config::settings_from_text("updates: 1", "test", {}).tasks;
  change(options);
  try {
    data::TaskDistribution(options, {}, 0);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

void for_each_number(const Descriptor* type, const std::function<void(const FieldDescriptor&)>& visit) {
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor& field = *type->field(i);
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
      for_each_number(field.message_type(), visit);
    else if (field.cpp_type() != FieldDescriptor::CPPTYPE_STRING)
      visit(field);
  }
}

}  // namespace

TEST_CASE("keys are found in messages") {
  CHECK(keys_in("lower tasks.min_way, or rule.ridge") ==
        std::vector<std::string>{"tasks.min_way", "rule.ridge"});
  CHECK(keys_in("see rule.h5, common/config/rule.cpp and my_tasks.way").empty());
  CHECK(exists("tasks.first.min_width"));
  CHECK(exists("tasks.first"));
  CHECK_FALSE(exists("tasks.way"));
  CHECK_FALSE(exists("tasks.min"));
}

TEST_CASE("every key that the sources of data, configuration and rules name exists") {
  int named = 0;
  for (const char* room : {"config", "data", "evaluation", "rule"})
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(std::string(OUTERLOOP_COMMON) + "/" + room)) {
      if (entry.path().extension() != ".cpp" && entry.path().extension() != ".h") continue;
      for (const std::string& key : keys_in(literals(entry.path()))) {
        INFO(entry.path() << ": " << key);
        CHECK(exists(key));
        ++named;
      }
    }
  CHECK(named > 30);
}

/// One for each range of the options of tasks, to a value outside.
std::vector<std::function<void(data::TaskOptions&)>> changes_out_of_range() {
  using Options = data::TaskOptions;
  return {
      [](Options& o) { o.sizes.minibatch = 0; },
      [](Options& o) {
        o.sizes.hidden_layers = {2, 1};
      },
      [](Options& o) {
        o.sizes.width = {0, 1};
      },
      [](Options& o) {
        o.sizes.inner_steps = {0, 1};
      },
      [](Options& o) { o.first.tasks = -1; },
      [](Options& o) {
        o.first = {1, {0, {1, 1}, {1, 1}, {1, 1}}};
      },
      [](Options& o) {
        o.first = {1, {1, {2, 1}, {1, 1}, {1, 1}}};
      },
      [](Options& o) {
        o.first = {1, {1, {1, 1}, {0, 1}, {1, 1}}};
      },
      [](Options& o) {
        o.first = {1, {1, {1, 1}, {1, 1}, {0, 1}}};
      },
      [](Options& o) {
        o.way = {2, 5};
      },
      [](Options& o) {
        o.subclasses = {0, 1};
      },
      [](Options& o) {
        o.words = {0, 1};
      },
      [](Options& o) { o.labelled_per_class = 0; },
      [](Options& o) { o.output_units = -1; },
      [](Options& o) { o.smallest_side = -1; },
      [](Options& o) { o.permute_probability = -1; },
      [](Options& o) { o.invert_probability = -1; },
      [](Options& o) { o.gain_jitter = -1; },
      [](Options& o) { o.augmentation.probability = -1; },
      [](Options& o) { o.augmentation.shift = -1; },
      [](Options& o) { o.augmentation.rotation = -1; },
      [](Options& o) { o.augmentation.scale = -1; },
      [](Options& o) { o.augmentation.contrast = -1; },
      [](Options& o) { o.augmentation.inversion = -1; },
      [](Options& o) { o.augmentation.noise = -1; },
      [](Options& o) { o.augmentation.target_scale = -1; },
  };
}

TEST_CASE("options of tasks out of range are refused by keys that exist") {
  std::set<std::string> messages;
  for (const auto& change : changes_out_of_range()) {
    const std::string message = refusal(change);
    INFO(message);
    CHECK(messages.insert(message).second);
    const auto keys = keys_in(message);
    CHECK_FALSE(keys.empty());
    for (const std::string& key : keys) CHECK(exists(key));
  }
  CHECK(refusal([](data::TaskOptions&) {}).find("no dataset") != std::string::npos);
}

TEST_CASE(
    "every number states its default in the schema, but those of tasks.first, which are those of tasks") {
  const Descriptor* first = proto::FirstTasks::descriptor();
  int inherited = 0;
  for_each_number(proto::Config::descriptor(), [&](const FieldDescriptor& field) {
    INFO(field.full_name());
    const bool of_tasks = field.containing_type() == first && field.name() != "tasks";
    CHECK(field.has_default_value() != of_tasks);
    if (of_tasks) CHECK(proto::Tasks::descriptor()->FindFieldByName(field.name()) != nullptr);
    inherited += of_tasks ? 1 : 0;
  });
  CHECK(inherited == first->field_count() - 1);
}
