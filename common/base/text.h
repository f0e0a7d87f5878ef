#pragma once
// Byte order marks at the front of text files: UTF-8's is taken off, other encodings are refused.
#include <string>

namespace outerloop::base {

/// The text without the byte order mark that Windows programs put in front of UTF-8. Throws InputError that
/// begins with `name` where the mark is that of UTF-16 or UTF-32.
std::string without_byte_order_mark(std::string text, const std::string& name);

}  // namespace outerloop::base
