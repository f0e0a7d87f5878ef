#pragma once
// Bags of words: a vocabulary of the most frequent words, and each text as its counts.
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace outerloop::data {

/// Words that a vocabulary holds at most.
constexpr std::int64_t kVocabulary = 1000;
/// Occurrences of a word in a text beyond which they are not told apart.
constexpr std::int64_t kMostCounted = 5;

/// Words in order: runs of letters, digits, apostrophes and bytes beyond ASCII (UTF-8), ASCII in lower case.
/// The line break of HTML, "<br />", is a space.
std::vector<std::string> split_words(const std::string& text);

class Vocabulary {
 public:
  /// The kVocabulary words that occur most often in `texts`, the most frequent first, equals in byte order.
  /// Throws InputError beginning with `name` where there is no word at all.
  Vocabulary(const std::vector<std::string>& texts, const std::string& name);

  std::int64_t size() const { return static_cast<std::int64_t>(place_.size()); }

  /// Appends [size()] numbers: min(occurrences, kMostCounted) / kMostCounted of each word, as 0..255.
  void append_bag(const std::string& text, std::vector<std::uint8_t>& bags) const;

 private:
  std::unordered_map<std::string, std::size_t> place_;
};

}  // namespace outerloop::data
