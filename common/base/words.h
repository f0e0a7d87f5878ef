#pragma once
// Nearest words, for suggestions after a misspelling.
#include <cstddef>
#include <string>
#include <vector>

namespace outerloop::base {

/// The number of insertions, removals and replacements of single bytes that turn `a` into `b` (Levenshtein
/// 1966).
std::size_t edit_distance(const std::string& a, const std::string& b);

/// The known word that `word` most likely misspells: at most a third of its bytes may differ, at most two, or
/// one in a word of fewer than four. Empty if there is none.
std::string nearest_word(const std::string& word, const std::vector<std::string>& known);

}  // namespace outerloop::base
