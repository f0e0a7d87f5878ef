#include "common/config/schema.h"

#include <fmt/format.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "common/base/error.h"
#include "common/base/words.h"

namespace outerloop::config {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::string join(const std::string& prefix, const std::string& name) {
  return prefix.empty() ? name : prefix + "." + name;
}

/// Recorded by the program itself (resolved_path); not a key for users.
bool is_noted(const FieldDescriptor* field) { return field->name().rfind("resolved_", 0) == 0; }

/// Calls visit(key, field) for every field below `type`, sub-messages after their own key.
void for_each_field(const Descriptor* type, const std::string& prefix,
                    const std::function<void(const std::string&, const FieldDescriptor*)>& visit) {
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (is_noted(field)) continue;
    visit(join(prefix, field->name()), field);
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
      for_each_field(field->message_type(), join(prefix, field->name()), visit);
  }
}

std::string last_part(const std::string& key) { return key.substr(key.rfind('.') + 1); }

/// Distance of `known` from the intended `key`: compares whole keys, and the parts after the last dots,
/// because users forget or confuse the groups in front.
std::size_t distance(const std::string& key, const std::string& known) {
  const std::size_t whole = base::edit_distance(key, known);
  const std::size_t last = base::edit_distance(last_part(key), last_part(known));
  return std::min(2 * whole, 2 * last + 1);
}

/// Keeps the first error of the text parser and rewords it.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  explicit FirstError(std::string origin) : origin_(std::move(origin)) {}

  void AddError(int line, int column, const std::string& message) override {
    if (!text_.empty()) return;
    text_ = fmt::format("{}:{}:{}: {}", origin_, line + 1, column + 1, translated(message));
  }
  void AddWarning(int, int, const std::string&) override {}

  const std::string& text() const { return text_; }

 private:
  static std::string translated(const std::string& message) {
    const auto quoted = quoted_parts(message);
    if (quoted.size() >= 2 && message.find("has no field named") != std::string::npos) {
      const std::string key = key_of(quoted[0], quoted[1]);
      return fmt::format("unknown key '{}'; the nearest known key is '{}'", key, nearest_key(key));
    }
    if (quoted.size() == 1 && message.find("is specified multiple times") != std::string::npos)
      return fmt::format("key '{}' is given twice; keep one of them", quoted[0]);
    return message;
  }

  static std::vector<std::string> quoted_parts(const std::string& message) {
    std::vector<std::string> parts;
    for (std::size_t open = message.find('"'); open != std::string::npos;) {
      const std::size_t close = message.find('"', open + 1);
      if (close == std::string::npos) break;
      parts.push_back(message.substr(open + 1, close - open - 1));
      open = message.find('"', close + 1);
    }
    return parts;
  }

  std::string origin_;
  std::string text_;
};

std::string allowed_values(const FieldDescriptor* field) {
  std::string text;
  for (int i = 0; i < field->enum_type()->value_count(); ++i)
    text += (i ? " | " : "") + field->enum_type()->value(i)->name();
  return text;
}

/// A key below a list means the list's only element; if there is not exactly one, returns the list itself.
const FieldDescriptor* find_scalar(const std::string& key, Message*& owner) {
  std::string rest = key;
  for (;;) {
    const std::size_t dot = rest.find('.');
    const FieldDescriptor* field = owner->GetDescriptor()->FindFieldByName(rest.substr(0, dot));
    if (field == nullptr || is_noted(field)) return nullptr;
    const bool is_message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    const Reflection* reflection = owner->GetReflection();
    if (field->is_repeated() && (dot == std::string::npos || reflection->FieldSize(*owner, field) != 1))
      return field;
    if (dot == std::string::npos) return is_message ? nullptr : field;
    if (!is_message) return nullptr;
    owner = field->is_repeated() ? reflection->MutableRepeatedMessage(owner, field, 0)
                                 : reflection->MutableMessage(owner, field);
    rest = rest.substr(dot + 1);
  }
}

/// The value in protobuf text format: strings in --set have no quotes.
std::string quoted_if_string(const FieldDescriptor* field, const std::string& value) {
  if (field->cpp_type() != FieldDescriptor::CPPTYPE_STRING) return value;
  std::string text = "\"";
  for (const char c : value) text += (c == '"' || c == '\\') ? std::string("\\") + c : std::string(1, c);
  return text + "\"";
}

std::string expected(const FieldDescriptor* field) {
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM:
      return "one of " + allowed_values(field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true or false";
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return "a number";
    case FieldDescriptor::CPPTYPE_STRING:
      return "a word";
    default:
      return "a whole number";
  }
}

double numeric_value(const Message& message, const FieldDescriptor* field) {
  const Reflection* reflection = message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT64:
      return static_cast<double>(reflection->GetInt64(message, field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection->GetDouble(message, field);
    default:
      return std::numeric_limits<double>::quiet_NaN();
  }
}

void check_message(const Message& message, const std::string& prefix, const std::string& origin) {
  const Descriptor* type = message.GetDescriptor();
  const Reflection* reflection = message.GetReflection();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    const std::string key = join(prefix, field->name());
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      const int count = field->is_repeated() ? reflection->FieldSize(message, field) : 0;
      for (int j = 0; j < count; ++j)
        check_message(reflection->GetRepeatedMessage(message, field, j), key, origin);
      if (!field->is_repeated() && reflection->HasField(message, field))
        check_message(reflection->GetMessage(message, field), key, origin);
      continue;
    }
    if (field->is_repeated() || !field->options().HasExtension(proto::range)) continue;
    const proto::Range& range = field->options().GetExtension(proto::range);
    const double value = numeric_value(message, field);
    if (!(range.min() <= value && value <= range.max()))
      throw InputError(fmt::format("{}: {} = {} is out of range; allowed is {} to {}", origin, key, value,
                                   range.min(), range.max()));
  }
}

void fill_message(Message& message) {
  const Descriptor* type = message.GetDescriptor();
  const Reflection* reflection = message.GetReflection();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      if (!field->is_repeated()) fill_message(*reflection->MutableMessage(&message, field));
      for (int j = 0; field->is_repeated() && j < reflection->FieldSize(message, field); ++j)
        fill_message(*reflection->MutableRepeatedMessage(&message, field, j));
      continue;
    }
    if (field->is_repeated() || reflection->HasField(message, field) || is_noted(field)) continue;
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT64:
        reflection->SetInt64(&message, field, field->default_value_int64());
        break;
      case FieldDescriptor::CPPTYPE_UINT64:
        reflection->SetUInt64(&message, field, field->default_value_uint64());
        break;
      case FieldDescriptor::CPPTYPE_DOUBLE:
        reflection->SetDouble(&message, field, field->default_value_double());
        break;
      case FieldDescriptor::CPPTYPE_BOOL:
        reflection->SetBool(&message, field, field->default_value_bool());
        break;
      case FieldDescriptor::CPPTYPE_ENUM:
        reflection->SetEnum(&message, field, field->default_value_enum());
        break;
      case FieldDescriptor::CPPTYPE_STRING:
        reflection->SetString(&message, field, field->default_value_string());
        break;
      default:
        throw Error("config.proto: field type not supported: " + field->full_name());
    }
  }
}

/// One value in text format, e.g. `0.1` or `"pictures"`.
std::string value_text(const Message& message, const FieldDescriptor* field) {
  std::string text;
  google::protobuf::TextFormat::PrintFieldValueToString(message, field, -1, &text);
  return text;
}

void compare(const Message& before, const Message& after, const std::string& prefix,
             std::vector<Difference>& differences) {
  const Reflection* reflection = before.GetReflection();
  for (int i = 0; i < before.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = before.GetDescriptor()->field(i);
    const std::string key = join(prefix, field->name());
    if (is_noted(field)) continue;
    if (field->is_repeated()) {
      const int size = reflection->FieldSize(before, field);
      if (const int now = reflection->FieldSize(after, field); now != size) {
        differences.push_back({key, fmt::format("a list of {}", size), fmt::format("a list of {}", now)});
        continue;
      }
      for (int j = 0; j < size; ++j)
        compare(reflection->GetRepeatedMessage(before, field, j),
                reflection->GetRepeatedMessage(after, field, j), key, differences);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      compare(reflection->GetMessage(before, field), reflection->GetMessage(after, field), key, differences);
    } else if (const auto old = value_text(before, field), now = value_text(after, field); old != now) {
      differences.push_back({key, old, now});
    }
  }
}

}  // namespace

std::vector<std::string> known_keys() {
  std::vector<std::string> keys;
  for_each_field(proto::Config::descriptor(), "", [&](const std::string& key, const FieldDescriptor* field) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) keys.push_back(key);
  });
  return keys;
}

std::string nearest_key(const std::string& key) {
  const auto keys = known_keys();
  return *std::min_element(keys.begin(), keys.end(), [&](const std::string& a, const std::string& b) {
    const auto to_a = distance(key, a), to_b = distance(key, b);
    return to_a != to_b ? to_a < to_b : base::edit_distance(key, a) < base::edit_distance(key, b);
  });
}

std::string key_of(const std::string& message_type, const std::string& field) {
  std::string prefix;
  for_each_field(proto::Config::descriptor(), "",
                 [&](const std::string& key, const FieldDescriptor* candidate) {
                   if (prefix.empty() && candidate->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
                       candidate->message_type()->full_name() == message_type)
                     prefix = key;
                 });
  return join(prefix, field);
}

proto::Config parse_text(const std::string& text, const std::string& origin) {
  FirstError errors(origin);
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&errors);
  proto::Config config;
  if (!parser.ParseFromString(text, &config)) throw InputError(errors.text());
  return config;
}

void apply_override(proto::Config& config, const std::string& assignment) {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0)
    throw InputError(fmt::format("--set {}: expected key=value, e.g. --set updates=100", assignment));
  const std::string key = assignment.substr(0, equals);
  const std::string value = assignment.substr(equals + 1);
  Message* owner = &config;
  const FieldDescriptor* field = find_scalar(key, owner);
  if (field == nullptr)
    throw InputError(fmt::format("--set {}: unknown key '{}'; the nearest known key is '{}'", assignment, key,
                                 nearest_key(key)));
  if (field->is_repeated())
    throw InputError(fmt::format("--set {}: '{}' is a list of {}; write it in a configuration file",
                                 assignment, key, owner->GetReflection()->FieldSize(*owner, field)));
  google::protobuf::TextFormat::Parser parser;
  FirstError errors("--set");
  parser.RecordErrorsTo(&errors);
  owner->GetReflection()->ClearField(owner, field);
  if (!parser.MergeFromString(field->name() + ": " + quoted_if_string(field, value), owner))
    throw InputError(fmt::format("--set {}: '{}' is no value for {}; expected {}", assignment, value, key,
                                 expected(field)));
}

void fill_defaults(proto::Config& config) { fill_message(config); }

std::vector<Difference> differences(const proto::Config& before, const proto::Config& after) {
  std::vector<Difference> found;
  compare(before, after, "", found);
  return found;
}

void check_ranges(const proto::Config& config, const std::string& origin) {
  check_message(config, "", origin);
}

std::string to_text(const proto::Config& config) {
  std::string text;
  OUTERLOOP_CHECK(google::protobuf::TextFormat::PrintToString(config, &text), "text format");
  return text;
}

}  // namespace outerloop::config
