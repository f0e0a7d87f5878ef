#include "cli/support/rule_module.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "common/base/error.h"
#include "common/config/paths.h"
#include "common/data/source_files.h"
#include "common/rule/engines/scripted_rule.h"

namespace outerloop::cli {

std::string module_name(const config::Settings& settings) {
  return "rule.path " + settings.config.rule().path();
}

void read_module(config::Settings& settings) {
  if (settings.config.rule().name() != proto::Rule::torchscript) return;
  const std::string path = config::path_of(settings.config.rule());
  if (data::is_present(path)) data::require_file(path);
  errno = 0;
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream bytes;
  if (stream) bytes << stream.rdbuf();
  if (!stream || bytes.str().empty())
    throw InputError(module_name(settings) + ": " + path + " cannot be read (" +
                     (errno != 0 ? std::strerror(errno) : "it is empty") +
                     "); give the file that torch.jit.script(rule).save wrote");
  set_module(settings, bytes.str(), module_name(settings));
}

void set_module(config::Settings& settings, const std::string& bytes, const std::string& name) {
  if (bytes.empty()) return;
  settings.set_module(rule::read_scripted_rule(bytes, name));
}

void set_module(config::Settings& settings, store::RuleFile& file, const std::string& path) {
  if (!file.script) return;
  set_module(settings, file.script->bytes, path + ": /module");
  file.script = settings.rule.script;
}

}  // namespace outerloop::cli
