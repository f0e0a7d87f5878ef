#include "common/data/words.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utility>

#include "common/base/error.h"

namespace outerloop::data {
namespace {

constexpr std::size_t kLongestTag = 1024;

bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// Length in bytes of the tag that begins at `place`, or 0.
std::size_t tag_length(const std::string& text, std::size_t place) {
  std::size_t i = place + 1;
  const auto at = [&](std::size_t index) { return index < text.size() ? text[index] : '\0'; };
  if (at(i) == '/') ++i;
  if (!is_ascii_letter(at(i))) return 0;
  while (is_ascii_letter(at(i)) || (at(i) >= '0' && at(i) <= '9')) ++i;
  if (at(i) != '>' && at(i) != ' ' && at(i) != '/') return 0;
  const std::size_t end = text.find_first_of("<>\n", i);
  if (end == std::string::npos || text[end] != '>' || end - place >= kLongestTag) return 0;
  return end + 1 - place;
}

/// Characters of a text in order, as code points.
class Characters {
 public:
  explicit Characters(const std::string& text)
      : text_(text), next_(reinterpret_cast<const utf8proc_uint8_t*>(text.data())), latin_1_(false) {
    while (more() && !latin_1_) latin_1_ = take() < 0;
    place_ = 0;
  }

  bool more() const { return place_ < text_.size(); }
  std::size_t place() const { return place_; }
  void skip(std::size_t bytes) { place_ += bytes; }

  /// The next character. Below 0 where the text is not UTF-8; never below 0 once it is read as Latin-1.
  utf8proc_int32_t take() {
    const utf8proc_uint8_t byte = next_[place_];
    if (byte < 0x80 || latin_1_) {
      ++place_;
      return byte;
    }
    utf8proc_int32_t character = -1;
    const utf8proc_ssize_t length =
        utf8proc_iterate(next_ + place_, static_cast<utf8proc_ssize_t>(text_.size() - place_), &character);
    place_ += static_cast<std::size_t>(std::max<utf8proc_ssize_t>(1, length));
    return length < 1 ? -1 : character;
  }

 private:
  const std::string& text_;
  const utf8proc_uint8_t* next_;
  bool latin_1_;
  std::size_t place_ = 0;
};

bool is_letter(utf8proc_int32_t character) {
  if (character < 0x80) return is_ascii_letter(static_cast<char>(character));
  const utf8proc_category_t category = utf8proc_category(character);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool is_mark(utf8proc_int32_t character) {
  if (character < 0x80) return false;
  const utf8proc_category_t category = utf8proc_category(character);
  return category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
}

void append(utf8proc_int32_t character, std::string& word) {
  if (character < 0x80) {
    word += static_cast<char>(character);
    return;
  }
  utf8proc_uint8_t bytes[4];
  const utf8proc_ssize_t length = utf8proc_encode_char(character, bytes);
  word.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(length));
}

/// NFC: a letter and its mark become one character, if Unicode has one.
std::string composed(const std::string& word) {
  utf8proc_uint8_t* bytes = nullptr;
  const utf8proc_ssize_t length = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(word.data()), static_cast<utf8proc_ssize_t>(word.size()),
      &bytes, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, void (*)(void*)> owned(bytes, std::free);
  if (length < 0) throw Error(std::string("words: ") + utf8proc_errmsg(length));
  return std::string(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(length));
}

bool is_ascii(const std::string& word) {
  return std::all_of(word.begin(), word.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

WordCounts counts_of(const std::vector<std::string>& texts) {
  WordCounts counts;
  for (const std::string& text : texts) count_words(text, counts);
  return counts;
}

}  // namespace

std::vector<std::string> split_words(const std::string& text) {
  std::vector<std::string> words;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty()) words.push_back(is_ascii(word) ? word : composed(word));
    word.clear();
  };
  for (Characters characters(text); characters.more();) {
    const std::size_t place = characters.place();
    const utf8proc_int32_t character = characters.take();
    if (is_letter(character)) {
      append(utf8proc_tolower(character), word);
    } else if (is_mark(character) && !word.empty()) {
      append(character, word);
    } else {
      end_word();
      if (character == '<') characters.skip(std::max<std::size_t>(1, tag_length(text, place)) - 1);
    }
  }
  end_word();
  return words;
}

std::string words_recipe() {
  return std::string("runs of letters, utf8proc ") + utf8proc_version() + ", counts of " +
         std::to_string(kVocabulary) + " words, " + std::to_string(kMostCounted);
}

void count_words(const std::string& text, WordCounts& counts) {
  for (std::string& word : split_words(text)) ++counts[std::move(word)];
}

Vocabulary::Vocabulary(const std::vector<std::string>& texts, const std::string& name)
    : Vocabulary(counts_of(texts), name) {}

Vocabulary::Vocabulary(const WordCounts& counts, const std::string& name) {
  if (counts.empty()) throw InputError(name + ": there is no word in its texts: check the path");
  std::vector<std::pair<std::string, std::int64_t>> ranked(counts.begin(), counts.end());
  std::sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  ranked.resize(std::min(ranked.size(), static_cast<std::size_t>(kVocabulary)));
  for (const auto& [word, count] : ranked) place_.emplace(word, place_.size());
}

void Vocabulary::append_bag(const std::string& text, std::vector<std::uint8_t>& bags) const {
  const std::size_t begin = bags.size();
  bags.resize(begin + place_.size());
  WordCounts counts;
  count_words(text, counts);
  for (const auto& [word, occurrences] : counts) {
    const auto found = place_.find(word);
    if (found != place_.end())
      bags[begin + found->second] = static_cast<std::uint8_t>(std::min(occurrences, kMostCounted));
  }
}

}  // namespace outerloop::data
