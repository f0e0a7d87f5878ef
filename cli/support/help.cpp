#include "cli/support/help.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

namespace outerloop::cli {
namespace {

class Formatter : public CLI::Formatter {
 public:
  /// As CLI11 writes it, but for lists: "[a,b] ..." would promise several values after one flag.
  std::string make_option_opts(const CLI::Option* option) const override {
    std::string text = CLI::Formatter::make_option_opts(option);
    if (option->get_type_size() == 0) return text;
    std::string value = option->get_default_str();
    if (value.size() >= 2 && value.front() == '[' && value.back() == ']') {
      const std::string bare = value.substr(1, value.size() - 2);
      replace(text, "=" + value, bare.empty() ? "" : "=" + bare);
    }
    if (!option->get_allow_extra_args()) replace(text, " ...", "");
    return text;
  }

 private:
  static void replace(std::string& text, const std::string& part, const std::string& by) {
    const std::size_t at = text.find(part);
    if (at != std::string::npos) text.replace(at, part.size(), by);
  }
};

}  // namespace

void describe_defaults(CLI::App& app) {
  app.formatter(std::make_shared<Formatter>());
  app.option_defaults()->always_capture_default();
}

}  // namespace outerloop::cli
