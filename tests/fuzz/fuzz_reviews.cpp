// Tables of score and text, and the bags of words that are made of them.
#include <cmath>

#include "common/base/error.h"
#include "common/data/reviews.h"
#include "common/data/words.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
  using namespace outerloop;
  const std::string table(reinterpret_cast<const char*>(bytes), count);
  for (const std::string& word : data::split_words(table))
    tests::require(!word.empty(), "words have letters");
  try {
    const data::Texts texts = data::parse_reviews(table, "fuzz");
    const std::size_t examples = texts.texts.size();
    tests::require(texts.scores.size() == examples && texts.labels.size() == examples, "one score per text");
    bool negative = false, positive = false;
    for (std::size_t i = 0; i < examples; ++i) {
      tests::require(std::isfinite(texts.scores[i]), "scores are finite");
      (texts.labels[i] == 0 ? negative : positive) = true;
    }
    tests::require(negative && positive, "both classes have texts");
    const data::WorkingSet set = data::text_set(texts, texts, "fuzz");
    tests::require(set.inputs >= 1 && set.inputs <= data::kVocabulary, "a vocabulary");
    tests::require(set.pixels.size() == examples * static_cast<std::size_t>(set.inputs), "a bag per text");
  } catch (const Error& error) {
    tests::require(std::string(error.what()).find("fuzz") == 0, "a refusal names the file");
  }
  return 0;
}
