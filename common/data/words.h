#pragma once
// Bags of words: splits texts into words, builds the vocabulary of the most frequent ones and counts them.
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace outerloop::data {

/// Largest number of words in a vocabulary.
constexpr std::int64_t kVocabulary = 1000;
/// Counts of a word in a text are clipped to this.
constexpr std::int64_t kMostCounted = 5;

/// Words in order: runs of Unicode's letters with their combining marks, in lower case, composed (NFC). A
/// text that is not entirely UTF-8 is read as Latin-1. Tags of HTML or XML, such as "<br />", separate words:
/// "<", "/" or not, a name, then ">" or a space, a "/" and whatever else comes before ">", in one line.
std::vector<std::string> split_words(const std::string& text);

/// Everything other than a text's bytes that affects its words: the rule above and the version of Unicode's
/// tables.
std::string words_recipe();

/// Number of occurrences of each word.
using WordCounts = std::unordered_map<std::string, std::int64_t>;
void count_words(const std::string& text, WordCounts& counts);

class Vocabulary {
 public:
  /// The kVocabulary most frequent words, the most frequent first, ties in byte order. Throws InputError
  /// beginning with `name` if there are no words.
  Vocabulary(const WordCounts& counts, const std::string& name);
  Vocabulary(const std::vector<std::string>& texts, const std::string& name);

  std::int64_t size() const { return static_cast<std::int64_t>(place_.size()); }

  /// Appends [size()] numbers: min(occurrences, kMostCounted) of each word.
  void append_bag(const std::string& text, std::vector<std::uint8_t>& bags) const;

 private:
  std::unordered_map<std::string, std::size_t> place_;
};

}  // namespace outerloop::data
