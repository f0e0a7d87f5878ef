#pragma once
// Keys, ranges and defaults of a configuration, by reflection on config.proto; parsing, --set, suggested
// keys.
#include <string>
#include <vector>

#include "outerloop/config.pb.h"

namespace outerloop::config {

/// Every dotted key that --set takes, e.g. "engine.precision", in the schema's order.
std::vector<std::string> known_keys();

/// The known key that `key` is most likely meant for, by edit distance: of whole keys, or of the parts behind
/// their last dots. learning_rate is nearest to optimizer.learning_rate.
std::string nearest_key(const std::string& key);

/// Dotted key of the field `field` of message type `message_type` (a full protobuf name).
std::string key_of(const std::string& message_type, const std::string& field);

/// Parses protobuf text format. `origin` names the text in errors, e.g. the file.
/// Throws InputError with line, key and nearest known key; also where a key is given twice.
proto::Config parse_text(const std::string& text, const std::string& origin);

/// Applies one "key=value". A key below a list (tasks.dataset.path) means its only entry. Throws InputError
/// naming the key, the value and the allowed values.
void apply_override(proto::Config& config, const std::string& assignment);

/// A key in which two configurations differ, with both values in text format.
struct Difference {
  std::string key;
  std::string before;
  std::string after;
};

/// All differing keys, in the schema's order; both configurations must have their defaults set. resolved_path
/// is ignored.
std::vector<Difference> differences(const proto::Config& before, const proto::Config& after);

/// Sets every scalar that is not set explicitly to its default, in all sub-messages.
void fill_defaults(proto::Config& config);

/// Throws InputError for the first value out of its declared range, naming key, value, range and `origin`.
void check_ranges(const proto::Config& config, const std::string& origin);

/// Protobuf text format of `config`; parse_text reads it back.
std::string to_text(const proto::Config& config);

}  // namespace outerloop::config
