#include "cli/support/wrapped.h"

#include <sstream>

namespace outerloop::cli {

std::string wrapped(const std::string& text, const std::string& indent) {
  constexpr std::size_t kColumns = 100;
  std::istringstream words(text);
  std::string lines, line;
  for (std::string word; words >> word;) {
    if (!line.empty() && line.size() + 1 + word.size() > kColumns) {
      lines += line + "\n";
      line.clear();
    }
    line += line.empty() ? indent + word : " " + word;
  }
  return lines + line;
}

}  // namespace outerloop::cli
