#pragma once
// Text from outside: removes byte order marks of files, and escapes what must not reach a terminal or a log.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace outerloop::base {

/// The text without the byte order mark that Windows programs put before UTF-8. Throws InputError that begins
/// with `name` where the mark is that of UTF-16 or UTF-32.
std::string without_byte_order_mark(std::string text, const std::string& name);

/// Whether `text` is longer than `end` and ends with it.
bool ends_with(const std::string& text, const std::string& end);

/// The parts of `text` between commas, empty ones too; none of an empty text, and none after a last comma.
std::vector<std::string> split_at_commas(const std::string& text);

/// Limit of printed bytes of a text from outside.
inline constexpr std::size_t kMostPrinted = 1024;

/// The text on one line: control characters and bytes that are not UTF-8 become \n, \t or \xNN, and a text of
/// more than `most` bytes is cut, marked by "...".
std::string printable(std::string_view text, std::size_t most = kMostPrinted);

}  // namespace outerloop::base
