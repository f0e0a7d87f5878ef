#include "common/data/csv_number.h"

#include <charconv>
#include <cmath>
#include <string>

namespace outerloop::data {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The text with a decimal point and without its thousands' marks; nothing where a group is not three digits
/// long, or the first one begins with 0: 1,234,567.8
std::optional<std::string> ungrouped(std::string_view text, char mark, char point) {
  std::string plain;
  std::size_t digits = 0;  // since the last mark
  bool grouped = false, fraction = false, leading_zero = false;
  for (const char c : text) {
    if (c == mark) {
      if (fraction || leading_zero || (grouped ? digits != 3 : digits < 1 || digits > 3)) return std::nullopt;
      grouped = true;
      digits = 0;
    } else if (c == point) {
      if (fraction || (grouped && digits != 3)) return std::nullopt;
      fraction = true;
      plain += '.';
    } else {
      if (is_digit(c) && !fraction) {
        if (digits == 0 && !grouped) leading_zero = c == '0';
        ++digits;
      }
      plain += c;
    }
  }
  if (grouped && !fraction && digits != 3) return std::nullopt;
  return plain;
}

std::optional<double> plain_number(std::string_view text) {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  // from_chars also takes "inf" and "nan", and neither is a number here.
  const std::size_t first = !text.empty() && text.front() == '-' ? 1 : 0;
  if (text.size() <= first || !(is_digit(text[first]) || text[first] == '.')) return std::nullopt;
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range)
    return text.find("e-") == std::string_view::npos && text.find("E-") == std::string_view::npos ? HUGE_VAL
                                                                                                  : 0.0;
  if (error != std::errc()) return std::nullopt;
  return value;
}

/// The field in lower case, without the space around it; nothing for a long one.
std::optional<std::string> short_word(std::string_view field) {
  constexpr std::string_view kSpace = " \t";
  constexpr std::size_t kLongest = 9;  // -infinity
  const std::size_t first = field.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return "";
  field = field.substr(first, field.find_last_not_of(kSpace) + 1 - first);
  if (field.size() > kLongest) return std::nullopt;
  std::string lower;
  for (const char c : field) lower += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return lower;
}

}  // namespace

std::optional<double> csv_number(std::string_view field, DecimalMark mark) {
  while (!field.empty() && field.front() == ' ') field.remove_prefix(1);
  while (!field.empty() && field.back() == ' ') field.remove_suffix(1);
  const bool comma = mark == DecimalMark::comma;
  if (field.find_first_of(comma ? ".," : ",") == std::string_view::npos) return plain_number(field);
  const auto plain = comma ? ungrouped(field, '.', ',') : ungrouped(field, ',', '.');
  return plain ? plain_number(*plain) : std::nullopt;
}

std::optional<DecimalMark> proven_mark(std::string_view field) {
  if (field.find_first_of(".,") == std::string_view::npos) return std::nullopt;
  const bool point = csv_number(field, DecimalMark::point).has_value();
  const bool comma = csv_number(field, DecimalMark::comma).has_value();
  if (point == comma) return std::nullopt;
  return point ? DecimalMark::point : DecimalMark::comma;
}

bool csv_missing(std::string_view field) {
  const auto word = short_word(field);
  if (!word) return false;
  for (const char* missing : {"", "na", "n/a", "nan", "null", "?"})
    if (*word == missing) return true;
  return false;
}

bool csv_infinite(std::string_view field) {
  auto word = short_word(field);
  if (!word) return false;
  if (!word->empty() && (word->front() == '-' || word->front() == '+')) word->erase(0, 1);
  return *word == "inf" || *word == "infinity" || *word == "1.#inf";
}

}  // namespace outerloop::data
