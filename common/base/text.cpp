#include "common/base/text.h"

#include <algorithm>
#include <sstream>
#include <string_view>
#include <utility>

#include "common/base/error.h"

namespace outerloop::base {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kUtf8 = "\xEF\xBB\xBF"sv;
// UTF-32's little-endian mark begins with UTF-16's.
constexpr std::pair<std::string_view, const char*> kOthers[] = {{"\xFF\xFE\0\0"sv, "UTF-32"},
                                                                {"\0\0\xFE\xFF"sv, "UTF-32"},
                                                                {"\xFF\xFE"sv, "UTF-16"},
                                                                {"\xFE\xFF"sv, "UTF-16"}};

bool begins_with(const std::string& text, std::string_view mark) {
  return text.compare(0, mark.size(), mark) == 0;
}

/// Bytes of the UTF-8 character at the front of `text`; 0 where there is none. Overlong forms, surrogates and
/// the control characters U+0080 to U+009F are none.
std::size_t character_bytes(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto tail = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xC0) == 0x80; };
  if (byte(0) < 0x80) return 1;
  if (byte(0) >= 0xC2 && byte(0) < 0xE0) return tail(1) && !(byte(0) == 0xC2 && byte(1) < 0xA0) ? 2 : 0;
  if (byte(0) >= 0xE0 && byte(0) < 0xF0) {
    const bool whole = tail(1) && tail(2);
    const bool overlong = whole && byte(0) == 0xE0 && byte(1) < 0xA0;
    const bool surrogate = whole && byte(0) == 0xED && byte(1) >= 0xA0;
    return whole && !overlong && !surrogate ? 3 : 0;
  }
  if (byte(0) < 0xF0 || byte(0) > 0xF4 || !tail(1) || !tail(2) || !tail(3)) return 0;
  const bool outside = (byte(0) == 0xF0 && byte(1) < 0x90) || (byte(0) == 0xF4 && byte(1) >= 0x90);
  return outside ? 0 : 4;
}

void append_escaped(unsigned char byte, std::string& line) {
  constexpr char kDigits[] = "0123456789abcdef";
  if (byte == '\n') {
    line += "\\n";
  } else if (byte == '\t') {
    line += "\\t";
  } else {
    line += "\\x";
    line += kDigits[byte >> 4];
    line += kDigits[byte & 15];
  }
}

}  // namespace

std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() > end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::string printable(std::string_view text, std::size_t most) {
  std::string line;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::string_view rest = text.substr(at);
    const std::size_t bytes = character_bytes(rest);
    const auto first = static_cast<unsigned char>(rest[0]);
    const std::size_t taken = std::max<std::size_t>(bytes, 1);
    if (at + taken > most) break;
    if (bytes == 0 || first < 0x20 || first == 0x7F)
      append_escaped(first, line);
    else
      line += rest.substr(0, bytes);
    at += taken;
  }
  return at < text.size() ? line + "..." : line;
}

std::string without_byte_order_mark(std::string text, const std::string& name) {
  for (const auto& [mark, encoding] : kOthers)
    if (begins_with(text, mark))
      throw InputError(name + ": its byte order mark says that it is " + encoding + ": save it as UTF-8");
  if (begins_with(text, kUtf8)) text.erase(0, kUtf8.size());
  return text;
}

}  // namespace outerloop::base
