// Documents of any bytes: their words, passages and bags.
#include <string>

#include "common/base/error.h"
#include "common/data/text_folder.h"
#include "common/data/words.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
  using namespace outerloop;
  const std::string text(reinterpret_cast<const char*>(bytes), count);
  const auto words = data::split_words(text);
  // Of a text that is Latin-1 a byte becomes two.
  std::size_t letters = 0;
  for (const std::string& word : words) {
    tests::require(!word.empty(), "words have letters");
    tests::require(word.find_first_of(" <>\n\t") == std::string::npos, "words end at spaces and tags");
    letters += word.size();
  }
  tests::require(letters <= 3 * count, "words are no longer than their text");
  for (const std::int64_t length : {20, 50}) {
    const auto passages = data::cut_passages(text, length);
    const auto whole = words.size() / static_cast<std::size_t>(length);
    const bool one = words.size() >= static_cast<std::size_t>(data::kFewestWords);
    tests::require(passages.size() == (one && whole == 0 ? 1 : whole), "passages of all the words");
    if (passages.empty()) continue;
    const data::Vocabulary vocabulary(passages, "fuzz");
    std::vector<std::uint8_t> bags;
    for (const std::string& passage : passages) vocabulary.append_bag(passage, bags);
    tests::require(bags.size() == passages.size() * static_cast<std::size_t>(vocabulary.size()),
                   "a bag per passage");
    for (const std::uint8_t count : bags) tests::require(count <= data::kMostCounted, "counts up to five");
  }
  return 0;
}
