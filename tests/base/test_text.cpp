// Text from outside as it is printed: on one line, escaped and cut.
#include "common/base/text.h"
#include "tests/catch.h"

using outerloop::base::printable;

TEST_CASE("text in UTF-8 is printed as it is") {
  for (const char* text : {"", "node-17.cluster", "θ, Δb and 日本語", "an emoji: \xF0\x9F\x98\x80"})
    CHECK(printable(text) == text);
}

TEST_CASE("control characters, escape codes and bytes that are no UTF-8 do not reach the terminal") {
  CHECK(printable("one\ntwo\tthree\r") == "one\\ntwo\\tthree\\x0d");
  CHECK(printable("\x1b[2Jgone\x7f") == "\\x1b[2Jgone\\x7f");
  CHECK(printable(std::string_view("a\0b", 3)) == "a\\x00b");
  CHECK(printable("\xC2\x9B[2J") == "\\xc2\\x9b[2J");  // a control sequence in Latin-1's upper half
  CHECK(printable("\xC0\xAF \xED\xA0\x80") == "\\xc0\\xaf \\xed\\xa0\\x80");  // overlong, a surrogate
  CHECK(printable("\xF4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");             // beyond Unicode
  CHECK(printable("cut: \xE6\x97") == "cut: \\xe6\\x97");
}

TEST_CASE("a text is split at its commas") {
  using Parts = std::vector<std::string>;
  CHECK(outerloop::base::split_at_commas("a,bc") == Parts{"a", "bc"});
  CHECK(outerloop::base::split_at_commas(",a") == Parts{"", "a"});
  CHECK(outerloop::base::split_at_commas("a,") == Parts{"a"});
  CHECK(outerloop::base::split_at_commas("").empty());
}

TEST_CASE("long text is cut between two characters") {
  CHECK(printable("abcdef", 6) == "abcdef");
  CHECK(printable("abcdefg", 6) == "abcdef...");
  CHECK(printable("aθθ", 4) == "aθ...");
  CHECK(printable(std::string(50'000'000, 'x')).size() == outerloop::base::kMostPrinted + 3);
}
