// Texts in folders of classes.
#include <algorithm>
#include <filesystem>
#include <string>

#include "common/data/class_split.h"
#include "common/data/dataset.h"
#include "common/data/text_folder.h"
#include "tests/catch.h"
#include "tests/data/as_nobody.h"
#include "tests/data/files.h"

namespace outerloop::tests {
namespace {

namespace fs = std::filesystem;

/// `count` words, alternating.
std::string text_of(const std::vector<std::string>& words, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += words[i % words.size()] + (i % 7 == 6 ? ".\n" : " ");
  return text;
}

/// The first of the names "class 0", "class 1", ... that are on this side of the class split.
std::vector<std::string> class_names(bool held_out, std::size_t count) {
  std::vector<std::string> names;
  for (int i = 0; names.size() < count; ++i)
    if (data::is_held_out("class " + std::to_string(i)) == held_out)
      names.push_back("class " + std::to_string(i));
  return names;
}

std::shared_ptr<const data::Dataset> open(const fs::path& folder, std::int64_t words = 30,
                                          data::ClassSplit classes = data::ClassSplit::all,
                                          const std::string& cache = "") {
  return data::open_dataset({"texts", folder.string(), 14, classes, {}, words, data::ScalingKind::none},
                            cache);
}

Bytes row_of(const data::Dataset& dataset, std::int64_t row) {
  return Bytes(dataset.example(row), dataset.example(row) + dataset.inputs);
}

TEST_CASE("documents are cut into passages; a short one is an example from twenty words on") {
  const std::vector<std::string> words{"one", "two"};
  CHECK(data::cut_passages(text_of(words, 119), 120).size() == 1);
  CHECK(data::cut_passages(text_of(words, 20), 120).size() == 1);
  CHECK(data::cut_passages(text_of(words, 19), 120).empty());
  CHECK(data::cut_passages("", 120).empty());
  CHECK(data::cut_passages(text_of(words, 359), 120).size() == 2);
  const auto passages = data::cut_passages("<p>" + text_of({"A", "b", "c"}, 60) + "</p>", 20);
  REQUIRE(passages.size() == 3);
  CHECK(passages[0].substr(0, 7) == "a b c a");
  CHECK(passages[1].substr(0, 7) == "c a b c");
  CHECK(passages[2].size() == 39);
}

TEST_CASE("a folder of classes: files of any name at any depth, plain and gzipped") {
  const TemporaryFolder folder;
  const std::string text = text_of({"alpha", "beta", "beta"}, 60);
  write_file(folder / "data/rec.autos/101551", text_bytes(text));  // as 20 Newsgroups names them
  write_file(folder / "data/sci.space/deep/er/a.txt", text_bytes(text));
  write_file(folder / "data/sci.space/b.txt.gz", gzip(text_bytes(text)));
  write_file(folder / "data/readme.txt", text_bytes(text));      // belongs to no class
  write_file(folder / "data/.git/objects/a", text_bytes(text));  // hidden
  write_file(folder / "data/sci.space/.DS_Store", text_bytes(text));
  const auto texts = open(folder / "data");
  CHECK(texts->class_names == std::vector<std::string>{"rec.autos", "sci.space"});
  CHECK(texts->size == 0);
  CHECK(texts->inputs == 2);
  CHECK(texts->bag_of_words);
  CHECK(texts->examples_of_class[0].size() == 2);
  CHECK(texts->examples_of_class[1].size() == 4);
  // 20 times beta, 10 times alpha in each passage: more than five.
  for (std::int64_t row = 0; row < 6; ++row) CHECK(row_of(*texts, row) == Bytes{5, 5});
  const auto long_ones = open(folder / "data", 60);
  CHECK(long_ones->examples() == 3);
}

TEST_CASE("documents that are empty or short are passed over, as are files that are no text") {
  const TemporaryFolder folder;
  const Bytes text = text_bytes(text_of({"alpha", "beta"}, 30));
  write_file(folder / "data/a/1", text);
  write_file(folder / "data/a/empty", {});
  write_file(folder / "data/a/numbers", text_bytes("1 2 3"));
  write_file(folder / "data/a/short", text_bytes("a few words"));
  write_file(folder / "data/b/cut.gz", first_bytes(gzip(text_bytes(text_of({"gamma"}, 5000))), 40));
  write_file(folder / "data/b/binary", Bytes(100, 0));
  write_file(folder / "data/c/2.gz", gzip(text));
  CHECK(open(folder / "data")->class_names == std::vector<std::string>{"a", "c"});
  CHECK(open(folder / "data")->examples() == 2);
  fs::remove(folder / "data/a/1");
  fs::remove(folder / "data/c/2.gz");
  holds(refusal([&] { open(folder / "data"); }), "no document of 20 words in " + (folder / "data"));
}

TEST_CASE("texts that cannot be read are said at every start, and what lacks them is never kept") {
  const TemporaryFolder folder;
  for (const char* name : {"a/1", "a/2", "b/1"})
    write_file(folder / (std::string("data/") + name), text_bytes(text_of({"alpha", name}, 30)));
  fs::permissions(folder / "data/a/2", fs::perms::none);
  fs::permissions(folder.path(), fs::perms::all);
  std::vector<std::string> remarks;
  const auto opened = [&] {
    remarks.clear();
    data::DatasetRequest request;
    request.name = "texts";
    request.path = folder / "data";
    request.size = 14;
    request.words_per_example = 30;
    return data::open_dataset(request, folder / "cache", &remarks);
  };
  for (int start = 0; start < 2; ++start) {
    const AsNobody nobody;
    CHECK(opened()->examples() == 2);
    REQUIRE_FALSE(remarks.empty());
    holds(remarks.front(), "texts: passed over " + (folder / "data/a/2"));
  }
  fs::permissions(folder / "data/a/2", fs::perms::owner_all);
  CHECK(opened()->examples() == 3);
  CHECK(remarks.empty());
}

TEST_CASE("the vocabulary is that of the classes for training, whichever are asked for") {
  const TemporaryFolder folder;
  const std::string train = class_names(false, 1)[0], held_out = class_names(true, 1)[0];
  write_file(folder.path() / "data" / train / "1", text_bytes(text_of({"seen", "seen", "known"}, 30)));
  write_file(folder.path() / "data" / held_out / "1",
             text_bytes(text_of({"unheard", "unheard", "unheard", "known", "x"}, 30)));
  const auto all = open(folder / "data");
  REQUIRE(all->inputs == 2);  // seen, known
  const auto unseen = open(folder / "data", 30, data::ClassSplit::held_out);
  CHECK(unseen->class_names == std::vector<std::string>{held_out});
  CHECK(row_of(*unseen, 0) == Bytes{0, 5});
  const auto seen = open(folder / "data", 30, data::ClassSplit::train);
  CHECK(seen->class_names == std::vector<std::string>{train});
  CHECK(row_of(*seen, 0) == Bytes{5, 5});
  // Without a training class there would be no words at all.
  fs::remove_all(folder.path() / "data" / train);
  CHECK(open(folder / "data")->inputs == 3);
  holds(refusal([&] { open(folder / "data", 30, data::ClassSplit::train); }), "no class is left");
}

TEST_CASE("texts are cached by their files and the length of passages") {
  const TemporaryFolder folder;
  write_file(folder / "data/a/1", text_bytes(text_of({"alpha", "beta"}, 100)));
  write_file(folder / "data/b/1", text_bytes(text_of({"alpha", "gamma"}, 100)));
  const auto cached = [&](std::int64_t words) {
    return open(folder / "data", words, data::ClassSplit::all, folder / "cache");
  };
  const auto made = cached(50);
  CHECK(made->examples() == 4);
  CHECK(cached(50)->sha256 == made->sha256);
  CHECK(open(folder / "data", 50)->sha256 == made->sha256);
  CHECK(cached(50)->bag_of_words);
  CHECK(cached(25)->examples() == 8);
  CHECK(cached(50)->sha256 == made->sha256);
  write_file(folder / "data/c/1", text_bytes(text_of({"alpha", "delta"}, 100)));
  CHECK(cached(50)->classes() == 3);
}

TEST_CASE("without a folder one line says how to bring texts") {
  const TemporaryFolder folder;
  holds(refusal([&] { open(folder / "none"); }),
        "texts: no folder " + (folder / "none") + ": run scripts/manuals");
  write_file(folder / "data/readme", text_bytes("no class"));
  holds(refusal([&] { open(folder / "data"); }), "texts: no files in " + (folder / "data") + "/CLASS/**");
  write_file(folder / "data/a/1", text_bytes(text_of({"alpha"}, 30)));
  for (const std::int64_t words : {0, 19, 1000001})
    holds(refusal([&] { open(folder / "data", words); }),
          "tasks.words_per_example = " + std::to_string(words));
}

}  // namespace
}  // namespace outerloop::tests
