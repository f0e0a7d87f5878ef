// Scored texts: IMDB's folders, tables of score and text.
#include <algorithm>
#include <cmath>

#include "common/base/error.h"
#include "common/data/dataset.h"
#include "common/data/reviews.h"
#include "tests/catch.h"
#include "tests/data/files.h"

namespace outerloop::tests {
namespace {

/// IMDB's layout: a review with rating r contains r times "good", otherwise "bad".
void write_imdb(const std::filesystem::path& folder, int per_class) {
  for (int i = 0; i < per_class; ++i) {
    const int high = 6 + i % 5;
    const int low = 1 + i % 5;
    write_file(folder / ("pos/" + std::to_string(i) + "_" + std::to_string(high) + ".txt"),
               text_bytes("a good film"));
    write_file(folder / ("neg/" + std::to_string(i) + "_" + std::to_string(low) + ".txt"),
               text_bytes("a bad film"));
  }
}

TEST_CASE("IMDB's folders give bags, two classes and scores, in their parts") {
  const TemporaryFolder folder;
  write_imdb(folder / "aclImdb/train", 10);
  write_imdb(folder / "aclImdb/test", 5);
  write_file(folder / "aclImdb/test/pos/9_9.txt", text_bytes("unheard unheard unheard good"));
  data::DatasetRequest request{"imdb", (folder / "aclImdb"), 14, {}, data::Part::train};
  const auto train = data::open_dataset(request, (folder / "cache"));
  CHECK(train->size == 0);
  CHECK(train->inputs == 4);  // a, film, bad, good
  CHECK(train->examples() == 20);
  CHECK(train->class_names == std::vector<std::string>{"negative", "positive"});
  CHECK(Bytes(train->pixels.begin(), train->pixels.begin() + 4) ==
        Bytes{0, 0, 255, 0});  // two are in every text
  double sum = 0.0, squares = 0.0;
  for (std::size_t i = 0; i < 20; ++i) {
    sum += train->scores[i];
    squares += train->scores[i] * train->scores[i];
    CHECK((train->scores[i] > 0.0f) == (train->labels[i] == 1));
  }
  CHECK(std::abs(sum) < 1e-5);
  CHECK(squares / 20 == Approx(0.25).epsilon(1e-5));
  request.part = data::Part::test;
  const auto test = data::open_dataset(request, (folder / "cache"));
  CHECK(test->examples() == 11);
  CHECK(test->inputs == 4);  // the words of the training part
  CHECK(data::open_dataset(request, (folder / "cache"))->sha256 == test->sha256);
  CHECK(data::open_dataset(request, "")->sha256 == test->sha256);
}

TEST_CASE("pos and neg alone are divided, one in five for testing") {
  const TemporaryFolder folder;
  write_imdb(folder.path(), 10);
  const auto count = [&](data::Part part) {
    return data::open_dataset({"imdb", folder.path().string(), 14, {}, part}, "")->examples();
  };
  CHECK(count(data::Part::all) == 20);
  CHECK(count(data::Part::train) == 16);
  CHECK(count(data::Part::test) == 4);
}

TEST_CASE("IMDB's files that are empty, mislabelled or missing are refused by name") {
  const TemporaryFolder folder;
  const auto message = [&] {
    return refusal([&] { data::open_dataset({"imdb", folder.path().string(), 14, {}, {}}, ""); });
  };
  holds(message(), "give the folder aclImdb");
  write_imdb(folder.path(), 5);
  SECTION("empty") {
    write_file(folder / "pos/7_7.txt", {});
    holds(message(), "7_7.txt: the file is empty");
  }
  SECTION("a rating of the other class") {
    write_file(folder / "pos/7_3.txt", text_bytes("a film"));
    holds(message(), "a rating of 3 among the positive ones");
  }
  SECTION("no rating") {
    for (const char* name :
         {"pos/7.txt", "pos/7_.txt", "pos/7_x.txt", "pos/7_11.txt", "pos/7_99999999999.txt"}) {
      write_file(folder / name, text_bytes("a film"));
      holds(message(), "ID_RATING.txt");
      std::filesystem::remove(folder / name);
    }
  }
  SECTION("oversized") {
    write_file(folder / "pos/7_7.txt", Bytes((std::size_t{1} << 20) + 1, 'a'));
    holds(message(), "more than the 1048576");
  }
  SECTION("no word at all") {
    std::filesystem::remove_all(folder / "pos");
    std::filesystem::remove_all(folder / "neg");
    write_file(folder / "pos/1_9.txt", text_bytes(". . ."));
    write_file(folder / "neg/1_1.txt", text_bytes("!"));
    holds(message(), "no word");
  }
}

TEST_CASE("tables of score and text, with an identifier or without") {
  const data::Texts plain = data::parse_reviews("-1.5\tbad\n0.5\tso so\r\n3e0\tgood: very\n", "t");
  CHECK(plain.scores == std::vector<float>{-1.5f, 0.5f, 3.0f});
  CHECK(plain.texts == std::vector<std::string>{"bad", "so so", "good: very"});
  CHECK(plain.labels == std::vector<std::int32_t>{0, 1, 1});
  const data::Texts numbered = data::parse_reviews("1_1\t2\tx\n1_2\t1\ty\n1_3\t1\tz", "t");
  CHECK(numbered.labels == std::vector<std::int32_t>{1, 0, 0});
  CHECK(numbered.texts[2] == "z");
  const TemporaryFolder folder;
  write_file(folder / "reviews.tsv", text_bytes("1\ta film\n2\ta good film\n1\tbad\n5\tgood\n"));
  const auto set = data::open_dataset({"reviews", (folder / "reviews.tsv"), 14, {}, {}}, (folder / "cache"));
  CHECK(set->examples() == 4);
  CHECK(set->inputs == 4);
  CHECK(set->labels == std::vector<std::int32_t>{0, 1, 0, 1});
}

TEST_CASE("byte order marks of UTF-8 are passed over, those of other encodings are named") {
  const TemporaryFolder folder;
  const std::string mark = "\xEF\xBB\xBF";
  write_file(folder / "reviews.tsv", text_bytes(mark + "1\ta film\n2\ta good film\n"));
  CHECK(data::read_reviews(folder / "reviews.tsv").scores == std::vector<float>{1.0f, 2.0f});
  write_imdb(folder / "imdb", 5);
  write_file(folder / "imdb/pos/0_6.txt", text_bytes(mark + "good"));
  write_file(folder / "imdb/pos/._0_6.txt", text_bytes("of another system"));
  const auto set = data::open_dataset({"imdb", (folder / "imdb"), 14, {}, {}}, "");
  CHECK(set->inputs == 4);  // a, film, bad, good
  write_file(folder / "reviews.tsv", {0xFF, 0xFE, '1', 0, '\t', 0, 'a', 0});
  holds(refusal([&] { data::read_reviews(folder / "reviews.tsv"); }),
        "says that it is UTF-16: save it as UTF-8");
}

TEST_CASE("lines that are no score and text are refused by number") {
  const auto message = [](const std::string& table) {
    return refusal([&] { data::parse_reviews(table, "t.tsv"); });
  };
  holds(message("1\ta\nno tab\n"), "t.tsv: line 2: no tab");
  holds(message("1\ta\n\n2\tb"), "line 2: no tab");
  holds(message("x\ta\n"), "line 1: the score \"x\"");
  holds(message("1x\ta\n"), "is no number");
  holds(message("\ta\n"), "is no number");
  holds(message("nan\ta\n"), "is no number");
  holds(message("1e300\ta\n"), "is no number");
  holds(message("1\t\n"), "no text");
  holds(message("a\tb\t1\ttext\n"), "more than three columns");
  holds(message("1\ta\n1\tb\n"), "all scores are equal");
  holds(message("1\ta\n"), "all scores are equal");
  holds(message(""), "no line");
  holds(refusal([&] { data::open_dataset({"reviews", "/no/such.tsv", 14, {}, {}}, ""); }), "no such file");
}

}  // namespace
}  // namespace outerloop::tests
