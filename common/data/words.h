#pragma once
// Bags of words: the words of a text, a vocabulary of the most frequent ones, and each text as its counts.
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace outerloop::data {

/// Words that a vocabulary holds at most.
constexpr std::int64_t kVocabulary = 1000;
/// Occurrences of a word in a text beyond which they are not told apart.
constexpr std::int64_t kMostCounted = 5;

/// Words in order: runs of Unicode's letters with their combining marks, in lower case, composed (NFC). A
/// text that is not UTF-8 throughout is read as Latin-1. Tags of HTML or XML, such as "<br />", stand between
/// words:
/// "<", "/" or not, a name, then ">" or a space, a "/" and whatever else comes before ">", in one line.
std::vector<std::string> split_words(const std::string& text);

/// What the words of a text follow from besides its bytes: the rule above, Unicode's tables in their version.
std::string words_recipe();

/// Occurrences of each word.
using WordCounts = std::unordered_map<std::string, std::int64_t>;
void count_words(const std::string& text, WordCounts& counts);

class Vocabulary {
 public:
  /// The kVocabulary words that occur most often, the most frequent first, equals in byte order. Throws
  /// InputError beginning with `name` where there is no word at all.
  Vocabulary(const WordCounts& counts, const std::string& name);
  Vocabulary(const std::vector<std::string>& texts, const std::string& name);

  std::int64_t size() const { return static_cast<std::int64_t>(place_.size()); }

  /// Appends [size()] numbers: min(occurrences, kMostCounted) of each word.
  void append_bag(const std::string& text, std::vector<std::uint8_t>& bags) const;

 private:
  std::unordered_map<std::string, std::size_t> place_;
};

}  // namespace outerloop::data
