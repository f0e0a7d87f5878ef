#include "common/data/words.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/error.h"

namespace outerloop::data {
namespace {

constexpr char kLineBreak[] = "<br />";
constexpr std::size_t kLineBreakLength = sizeof kLineBreak - 1;

bool is_word(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '\'' || c >= 0x80;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

std::vector<std::string> split_words(const std::string& text) {
  std::vector<std::string> words;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty()) words.push_back(std::move(word));
    word.clear();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '<' && text.compare(i, kLineBreakLength, kLineBreak) == 0) {
      end_word();
      i += kLineBreakLength - 1;
    } else if (is_word(static_cast<unsigned char>(text[i]))) {
      word += lower(text[i]);
    } else {
      end_word();
    }
  }
  end_word();
  return words;
}

Vocabulary::Vocabulary(const std::vector<std::string>& texts, const std::string& name) {
  std::unordered_map<std::string, std::int64_t> counts;
  for (const std::string& text : texts)
    for (std::string& word : split_words(text)) ++counts[std::move(word)];
  if (counts.empty()) throw InputError(name + ": there is no word in its texts: check the path");
  std::vector<std::pair<std::string, std::int64_t>> ranked(counts.begin(), counts.end());
  std::sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  ranked.resize(std::min(ranked.size(), static_cast<std::size_t>(kVocabulary)));
  for (const auto& [word, count] : ranked) place_.emplace(word, place_.size());
}

void Vocabulary::append_bag(const std::string& text, std::vector<std::uint8_t>& bags) const {
  constexpr int kStep = 255 / kMostCounted;
  const std::size_t begin = bags.size();
  bags.resize(begin + place_.size());
  for (const std::string& word : split_words(text)) {
    const auto found = place_.find(word);
    if (found == place_.end()) continue;
    std::uint8_t& number = bags[begin + found->second];
    number = static_cast<std::uint8_t>(std::min<int>(number + kStep, kStep * kMostCounted));
  }
}

}  // namespace outerloop::data
