#include "common/data/characters.h"

#include <algorithm>

namespace outerloop::data {
namespace {

// One class per text; its first character is the canonical one. The merged characters were compared in 197
// font faces: letters shared between alphabets, small letters drawn as smaller capitals, and shapes that are
// the same in most sans-serif faces.
// clang-format off
const std::u32string kClasses[] = {
    // Digits.
    U"0", U"1", U"2", U"3Зз", U"4", U"5", U"6", U"7", U"8", U"9",
    // Latin shapes, with those that Greek and Cyrillic share.
    U"AΑА", U"BΒВв", U"CcСс", U"D", U"EΕЕ", U"F", U"G", U"HΗНн", U"IlΙІ", U"JЈ", U"KΚКкκ", U"L", U"MΜМм", U"NΝ",
    U"OoΟοОо", U"PΡР", U"Q", U"R", U"SsЅѕ", U"TΤТт", U"Uuυ", U"Vvν", U"Ww", U"XxΧХх", U"YΥ", U"ZzΖ",
    U"aа", U"b", U"d", U"eе", U"f", U"g", U"hħћ", U"iі", U"jј", U"k", U"m", U"n", U"pρр", U"q", U"r", U"t", U"yУу",
    U"Æ", U"æ", U"Œ", U"œ", U"Øø", U"ß", U"Þ", U"þ", U"ÐĐ", U"ð", U"đ", U"Ł", U"ł", U"Ħ", U"Ŋ", U"ŋη",
    // Greek.
    U"ΓГг", U"Δ", U"Θ", U"Λ", U"Ξ", U"ΠПп", U"Σ", U"ΦФ", U"Ψψ", U"Ω", U"α", U"β", U"γ", U"δ", U"ε", U"ζ", U"θ", U"ι",
    U"λ", U"μ", U"ξ", U"π", U"ς", U"σ", U"τ", U"φ", U"χ", U"ω",
    // Cyrillic.
    U"Б", U"б", U"Дд", U"Жж", U"Ии", U"Йй", U"Лл", U"ф", U"Цц", U"Чч", U"Шш", U"Щщ", U"Ъъ", U"Ыы", U"Ьь", U"Ээ",
    U"Юю", U"Яя", U"Єє", U"Ђ", U"ђ", U"Ћ", U"Љљ", U"Њњ", U"Џџ", U"Ґґ",
};
// clang-format on

std::string utf8(char32_t c) {
  if (c < 0x80) return {static_cast<char>(c)};
  return {static_cast<char>(0xC0 | (c >> 6)), static_cast<char>(0x80 | (c & 0x3F))};  // all are below U+0800
}

}  // namespace

std::vector<std::string> character_classes() {
  std::vector<std::string> names;
  for (const std::u32string& members : kClasses) names.push_back(utf8(members.front()));
  return names;
}

std::vector<Character> characters() {
  std::vector<Character> result;
  std::int32_t label = 0;
  for (const std::u32string& members : kClasses) {
    for (const char32_t c : members) result.push_back({c, label});
    ++label;
  }
  std::sort(result.begin(), result.end(),
            [](const Character& a, const Character& b) { return a.code_point < b.code_point; });
  return result;
}

}  // namespace outerloop::data
