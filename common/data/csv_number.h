#pragma once
// Fields of CSV files as numbers, independent of the locale: decimal marks, thousands, missing values.
#include <optional>
#include <string_view>

namespace outerloop::data {

/// The decimal mark. The other mark groups thousands.
enum class DecimalMark { point, comma };

/// The number that a field holds, or nothing: 7, -2e7, +3; with a decimal point 1.5 and 66,040,229; with a
/// decimal comma 1,5 and 66.040.229.
std::optional<double> csv_number(std::string_view field, DecimalMark mark);

/// The mark that a field proves: 1.5 and 0.125 a point, 1,5 a comma. Nothing for a field that is a number
/// with both marks (7; 1.234, which is 1234 with a decimal comma) or with neither.
std::optional<DecimalMark> proven_mark(std::string_view field);

/// True for an empty field, NA, N/A, NaN, null and ?, in upper or lower case.
bool csv_missing(std::string_view field);

/// True for inf, infinity and 1.#INF, with or without a sign, in upper or lower case.
bool csv_infinite(std::string_view field);

}  // namespace outerloop::data
