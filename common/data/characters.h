#pragma once
// The table of characters to render as glyphs, with look-alikes (A, Α, А) in one class.
#include <cstdint>
#include <string>
#include <vector>

namespace outerloop::data {

/// A character and its class.
struct Character {
  char32_t code_point = 0;
  std::int32_t label = 0;
};

/// Names of the classes, in label order: the canonical character of each, in UTF-8. Latin, Greek and Cyrillic
/// characters that look the same, or differ only in size (C and c: every glyph is fitted to one box), are one
/// class.
std::vector<std::string> character_classes();

/// Every character, sorted by code point.
std::vector<Character> characters();

}  // namespace outerloop::data
