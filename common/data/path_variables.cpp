#include "common/data/path_variables.h"

#include <cctype>
#include <cstdlib>
#include <filesystem>

#include "common/base/error.h"

namespace outerloop::data {
namespace {

/// A variable reference in a path.
struct Variable {
  std::size_t begin = std::string::npos;  ///< position of its $
  std::size_t end = 0;                    ///< position after its last character
  std::string name;
};

bool may_begin(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool may_follow(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

/// The first reference from `from` on; any other $ is an ordinary character.
Variable next_variable(const std::string& path, std::size_t from) {
  for (std::size_t at = path.find('$', from); at != std::string::npos; at = path.find('$', at + 1)) {
    const bool braces = at + 1 < path.size() && path[at + 1] == '{';
    const std::size_t begin = at + (braces ? 2 : 1);
    std::size_t end = begin;
    if (begin < path.size() && may_begin(path[begin]))
      while (end < path.size() && may_follow(path[end])) ++end;
    if (end == begin || (braces && (end == path.size() || path[end] != '}'))) continue;
    return {at, end + (braces ? 1 : 0), path.substr(begin, end - begin)};
  }
  return {};
}

bool begins_at_home(const std::string& path) { return path == "~" || path.compare(0, 2, "~/") == 0; }

std::string value_of(const std::string& name, const std::string& path) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr || *value == '\0')
    throw InputError("path " + path + ": the environment variable " + name +
                     " is not set on this host: set it, or give the path itself");
  return value;
}

}  // namespace

bool has_variables(const std::string& path) {
  return begins_at_home(path) || next_variable(path, 0).begin != std::string::npos;
}

std::string expand_variables(const std::string& path) {
  std::error_code ignored;
  if (!has_variables(path) || std::filesystem::exists(path, ignored)) return path;
  std::string rest = begins_at_home(path) ? value_of("HOME", path) + path.substr(1) : path;
  std::string expanded;
  for (std::size_t from = 0;;) {
    const Variable variable = next_variable(rest, from);
    if (variable.begin == std::string::npos) return expanded + rest.substr(from);
    expanded += rest.substr(from, variable.begin - from) + value_of(variable.name, path);
    from = variable.end;
  }
}

}  // namespace outerloop::data
