#pragma once
// Nearest words, for suggestions after a misspelling.
#include <cstddef>
#include <string>
#include <vector>

namespace outerloop::base {

/// Insertions, removals and replacements of single bytes that make `b` of `a` (Levenshtein 1966).
std::size_t edit_distance(const std::string& a, const std::string& b);

/// The known word that `word` is most likely a misspelling of: at most a third of its bytes differ, or two,
/// or one of fewer than four. Empty where there is none.
std::string nearest_word(const std::string& word, const std::vector<std::string>& known);

}  // namespace outerloop::base
