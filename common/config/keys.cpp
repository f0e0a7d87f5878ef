#include "common/config/keys.h"

#include <fmt/format.h>

#include <map>
#include <regex>
#include <sstream>
#include <utility>

#include "common/base/error.h"
#include "common/config/schema.h"
#include "common/config/schema_text.h"
#include "outerloop/config.pb.h"

namespace outerloop::config {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

/// Comments by the full name of their message, field or value.
using Comments = std::map<std::string, std::string>;

/// Reads config.proto's comments line by line. Its declarations are on one line each; comments stand above
/// them, or behind them.
class CommentReader {
 public:
  Comments read(const std::string& schema) {
    std::istringstream lines(schema);
    for (std::string line; std::getline(lines, line);) read_line(line);
    return std::move(comments_);
  }

 private:
  void read_line(const std::string& line) {
    static const std::regex comment("^ *// ?(.*)$"), scope("^ *(message|enum|extend) ([A-Za-z_.]+) \\{$"),
        end("^ *\\}$"),
        declaration("^ *(?:[A-Za-z_.0-9]+ )*([a-z_0-9]+) = [0-9]+(?: \\[.*\\])?;(?: *// ?(.*))?$",
                    std::regex::icase);
    std::smatch match;
    if (std::regex_match(line, match, comment)) {
      append(above_, match[1]);
      return;
    }
    if (std::regex_match(line, match, scope))
      scopes_.push_back(match[2]);
    else if (std::regex_match(line, end) && !scopes_.empty())
      scopes_.pop_back();
    else if (std::regex_match(line, match, declaration))
      add(match[1], match[2]);
    above_.clear();
  }

  void add(const std::string& name, const std::string& behind) {
    std::string full_name = "outerloop.proto";
    for (const std::string& scope : scopes_) full_name += "." + scope;
    append(above_, behind);
    if (!above_.empty()) comments_[full_name + "." + name] = above_;
  }

  static void append(std::string& text, const std::string& more) {
    if (!text.empty() && !more.empty()) text += ' ';
    text += more;
  }

  std::vector<std::string> scopes_;
  std::string above_;
  Comments comments_;
};

std::string allowed_of(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true | false";
    case FieldDescriptor::CPPTYPE_STRING:
      return "text";
    case FieldDescriptor::CPPTYPE_UINT64:
      return "whole, 0 to 2^64 - 1";
    case FieldDescriptor::CPPTYPE_ENUM: {
      std::string text;
      for (int i = 0; i < field.enum_type()->value_count(); ++i)
        text += (i > 0 ? " | " : "") + field.enum_type()->value(i)->name();
      return text;
    }
    default:
      break;
  }
  const bool whole = field.cpp_type() != FieldDescriptor::CPPTYPE_DOUBLE;
  if (!field.options().HasExtension(proto::range)) return whole ? "a whole number" : "a number";
  const proto::Range& range = field.options().GetExtension(proto::range);
  return fmt::format("{}{:g} to {:g}", whole ? "whole, " : "", range.min(), range.max());
}

std::string default_of(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return field.default_value_bool() ? "true" : "false";
    case FieldDescriptor::CPPTYPE_STRING:
      return field.has_default_value() ? field.default_value_string() : "";
    case FieldDescriptor::CPPTYPE_UINT64:
      return fmt::format("{}", field.default_value_uint64());
    case FieldDescriptor::CPPTYPE_INT64:
      return field.has_default_value() ? fmt::format("{}", field.default_value_int64()) : "";
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return fmt::format("{:g}", field.default_value_double());
    case FieldDescriptor::CPPTYPE_ENUM:
      return field.default_value_enum()->name();
    default:
      return "";
  }
}

std::string comment_of(const FieldDescriptor& field, const Comments& comments) {
  const auto of = [&](const std::string& name) {
    const auto found = comments.find(name);
    return found == comments.end() ? std::string() : found->second;
  };
  std::string text = of(field.full_name());
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_ENUM) return text;
  for (int i = 0; i < field.enum_type()->value_count(); ++i) {
    const auto& value = *field.enum_type()->value(i);
    const std::string comment = of(field.enum_type()->full_name() + "." + value.name());
    if (!comment.empty()) text += (text.empty() ? "" : " ") + value.name() + ": " + comment + ".";
  }
  return text;
}

/// The field of a dotted key.
const FieldDescriptor& field_of(const std::string& key) {
  const Descriptor* type = proto::Config::descriptor();
  std::size_t begin = 0;
  for (;;) {
    const std::size_t dot = key.find('.', begin);
    const auto* field = type->FindFieldByName(key.substr(begin, dot - begin));
    OUTERLOOP_CHECK(field != nullptr, "no field of the key " + key);
    if (dot == std::string::npos) return *field;
    type = field->message_type();
    begin = dot + 1;
  }
}

}  // namespace

std::vector<KeyInfo> describe_keys() {
  const Comments comments = CommentReader().read(kSchemaText);
  std::vector<KeyInfo> keys;
  for (const std::string& key : known_keys()) {
    const FieldDescriptor& field = field_of(key);
    keys.push_back({key, allowed_of(field), default_of(field), comment_of(field, comments)});
  }
  return keys;
}

}  // namespace outerloop::config
