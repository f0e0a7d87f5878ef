// Words of texts, and vocabularies.
#include <algorithm>

#include "common/data/words.h"
#include "tests/catch.h"
#include "tests/data/files.h"

namespace outerloop::tests {
namespace {

using Words = std::vector<std::string>;

TEST_CASE("words are runs of letters, in lower case") {
  CHECK(data::split_words("It's GOOD, isn't-it? 2nd x86_64") ==
        Words{"it", "s", "good", "isn", "t", "it", "nd", "x"});
  CHECK(data::split_words("").empty());
  CHECK(data::split_words(" .,12 \n\t_").empty());
}

TEST_CASE("letters are Unicode's, whatever the script") {
  CHECK(data::split_words(
            "Tr\u00e8s \u00dcbel; \u0391\u0392\u0393 \u041c\u0438\u0440\u201eGr\u00f6\u00dfe\u201c") ==
        Words{"tr\u00e8s", "\u00fcbel", "\u03b1\u03b2\u03b3", "\u043c\u0438\u0440", "gr\u00f6\u00dfe"});
  CHECK(data::split_words("\u65e5\u672c\u3001\u8a9e \U0001d49c") ==
        Words{"\u65e5\u672c", "\u8a9e", "\U0001d49c"});
  CHECK(data::split_words("a\u00a0b\u2014c\u20acd") == Words{"a", "b", "c", "d"});
}

TEST_CASE("a letter with a combining mark is the composed one, and marks belong to their word") {
  CHECK(data::split_words("U\u0308bung") == Words{"\u00fcbung"});
  CHECK(data::split_words("U\u0308BUNG \u00dcbung") == Words{"\u00fcbung", "\u00fcbung"});
  CHECK(data::split_words("\u0939\u093f\u0928\u094d\u0926\u0940") ==
        Words{"\u0939\u093f\u0928\u094d\u0926\u0940"});
  CHECK(data::split_words("q\u0307x").size() == 1);    // no composed form
  CHECK(data::split_words("\u0308 2\u0308").empty());  // marks on no letter
}

TEST_CASE("a text that is not UTF-8 throughout is Latin-1 as a whole") {
  CHECK(data::split_words("Gr\xf6\xdf"
                          "e") == Words{"gr\u00f6\u00df"
                                        "e"});
  CHECK(data::split_words("\xc9tude caf\xe9") == Words{"\u00e9tude", "caf\u00e9"});
  // The two bytes of an umlaut in UTF-8 are read as two characters, Ã and ¼, if another byte is not UTF-8.
  CHECK(data::split_words("M\xc3\xbcller \xff") == Words{"m\u00e3", "ller", "\u00ff"});
  CHECK(data::split_words("cut \xc3") == Words{"cut", "\u00e3"});
  CHECK(data::split_words("\xed\xa0\x80") == Words{"\u00ed"});  // a surrogate is no character
}

TEST_CASE("tags are no words, comparisons and addresses are none") {
  CHECK(data::split_words("good,<br /><br />very<br/>good <b>2</b> </p>end") ==
        Words{"good", "very", "good", "end"});
  CHECK(data::split_words("see <a href=\"x.html\" class='c'>here</a>") == Words{"see", "here"});
  CHECK(data::split_words("a < b > c, if (i<n) m>2") == Words{"a", "b", "c", "if", "i", "n", "m"});
  CHECK(data::split_words("<me@home.org> <stdio.h>") == Words{"me", "home", "org", "stdio", "h"});
  CHECK(data::split_words("<br") == Words{"br"});
  CHECK(data::split_words("<") == Words{});
  CHECK(data::split_words("<br \n>") == Words{"br"});
  CHECK(data::split_words("<a <b>c") == Words{"a", "c"});
}

TEST_CASE("a vocabulary holds the most frequent words, and bags count up to five") {
  Words texts{"b b b a a c"};
  for (char first = 'a'; first <= 'k'; ++first)
    for (char second = 'a'; second <= 'j'; ++second)
      for (char third = 'a'; third <= 'j'; ++third) texts.push_back({'w', first, second, third});
  const data::Vocabulary words(texts, "test");
  CHECK(words.size() == data::kVocabulary);
  Bytes bag;
  words.append_bag("a c B a unheard b b b b b b b", bag);
  REQUIRE(bag.size() == 1000);
  CHECK(bag[0] == 5);  // b, eight times
  CHECK(bag[1] == 2);
  CHECK(bag[2] == 1);  // c comes before waaa of the same count
  CHECK(std::count(bag.begin(), bag.end(), 0) == 997);
  words.append_bag("waaa", bag);
  CHECK(bag.size() == 2000);
  CHECK(bag[1003] == 1);
  holds(refusal([] { data::Vocabulary(Words{"1 2", ""}, "test"); }), "test: there is no word");
}

}  // namespace
}  // namespace outerloop::tests
