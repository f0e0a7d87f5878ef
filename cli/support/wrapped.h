#pragma once
// Text broken into lines for a terminal.
#include <string>

namespace outerloop::cli {

/// Words of `text` in lines of at most 100 characters, each begun with `indent`; without a line end at the
/// end.
std::string wrapped(const std::string& text, const std::string& indent);

}  // namespace outerloop::cli
