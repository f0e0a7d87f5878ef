#pragma once
// Byte order marks of text files: UTF-8's is removed, other encodings are rejected.
#include <string>

namespace outerloop::base {

/// The text without the byte order mark that Windows programs put before UTF-8. Throws InputError that begins
/// with `name` where the mark is that of UTF-16 or UTF-32.
std::string without_byte_order_mark(std::string text, const std::string& name);

}  // namespace outerloop::base
