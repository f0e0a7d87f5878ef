#pragma once
// The module of a rule torchscript: from its file, or from the bytes that a run or a rule's file holds.
#include <string>

#include "common/config/settings.h"
#include "common/store/files.h"

namespace outerloop::cli {

/// Reads rule.path, where the configuration names the rule torchscript. Throws InputError, one line that
/// names the file.
void read_module(config::Settings& settings);

/// The same from bytes; `name` begins error messages. Empty bytes: there is no module.
void set_module(config::Settings& settings, const std::string& bytes, const std::string& name);

/// Gives settings and file, which is what has been read from `path`, the file's module.
void set_module(config::Settings& settings, store::RuleFile& file, const std::string& path);

/// How errors name the module of a run: "rule.path my_rule.pt".
std::string module_name(const config::Settings& settings);

}  // namespace outerloop::cli
