#include "common/data/reviews.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

#include "common/base/error.h"
#include "common/data/listing.h"
#include "common/data/source_files.h"
#include "common/data/words.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t kMaxReviewBytes = std::uint64_t{1} << 20;
constexpr std::uint64_t kMaxTableBytes = std::uint64_t{1} << 30;
constexpr std::size_t kTestShare = 5;  // one file in this many is a test file, if IMDB's parts are missing
constexpr int kHighestNegative = 5;

/// The .txt files below `folder`, sorted.
std::vector<fs::path> texts_in(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> files;
  if (fs::is_directory(folder, error)) files = list_files(folder, {".txt"});
  if (files.empty())
    throw InputError("imdb: no .txt files in " + folder.string() +
                     ": give the folder aclImdb, which holds train/pos, train/neg, test/pos and test/neg");
  return files;
}

bool holds_parts(const fs::path& folder) {
  std::error_code error;
  return !fs::is_directory(folder / "neg", error) || !fs::is_directory(folder / "pos", error);
}

/// The rating in "ID_RATING".
int rating_of(const fs::path& file, bool positive) {
  const std::string stem = file.stem().string();
  const std::size_t separator = stem.find_last_of('_');
  int rating = 0;
  const char* begin = stem.data() + (separator == std::string::npos ? stem.size() : separator + 1);
  const auto [end, error] = std::from_chars(begin, stem.data() + stem.size(), rating);
  if (error != std::errc() || end != stem.data() + stem.size() || rating < 1 || rating > 10)
    throw InputError(file.string() +
                     ": its name is not ID_RATING.txt with a rating of 1 to 10: check the folder");
  if (positive != (rating > kHighestNegative))
    throw InputError(file.string() + ": a rating of " + std::to_string(rating) + " among the " +
                     (positive ? "positive" : "negative") + " ones: fetch the data again");
  return rating;
}

/// One line of a table without its line end.
void append_line(std::string_view line, const std::string& where, Texts& result) {
  const std::size_t last = line.find_last_of('\t');
  const std::size_t first = line.find('\t');
  if (last == std::string_view::npos) throw InputError(where + ": no tab: write score, tab, text");
  std::string_view score = line.substr(0, last);
  if (first != last) score.remove_prefix(first + 1);  // an identifier is the first column
  if (score.find('\t') != std::string_view::npos)
    throw InputError(where + ": more than three columns: write score, tab, text");
  double value = 0.0;
  const auto [end, error] = std::from_chars(score.data(), score.data() + score.size(), value);
  if (error != std::errc() || end != score.data() + score.size() || !std::isfinite(static_cast<float>(value)))
    throw InputError(where + ": the score \"" + std::string(score.substr(0, 40)) +
                     "\" is no number: write score, tab, text");
  if (last + 1 == line.size()) throw InputError(where + ": no text behind the score: take the line out");
  result.scores.push_back(static_cast<float>(value));
  result.texts.emplace_back(line.substr(last + 1));
}

void set_median_labels(const std::string& name, Texts& result) {
  std::vector<float> sorted = result.scores;
  std::sort(sorted.begin(), sorted.end());
  float threshold = sorted[sorted.size() / 2];
  // If at least half of all scores are the lowest one, those above it are positive.
  if (threshold == sorted.front()) threshold = *std::upper_bound(sorted.begin(), sorted.end() - 1, threshold);
  if (threshold == sorted.front())
    throw InputError(name + ": all scores are equal, so that there are no two classes: check the file");
  for (const float score : result.scores) result.labels.push_back(score < threshold ? 0 : 1);
}

}  // namespace

std::vector<fs::path> imdb_files(const fs::path& folder, Part part) {
  std::vector<fs::path> result;
  const auto append = [&](const fs::path& from) {
    for (const char* sign : {"neg", "pos"}) {
      const std::vector<fs::path> files = texts_in(from / sign);
      result.insert(result.end(), files.begin(), files.end());
    }
  };
  if (holds_parts(folder)) {
    if (part != Part::test) append(folder / "train");
    if (part != Part::train) append(folder / "test");
    return result;
  }
  for (const char* sign : {"neg", "pos"}) {
    const std::vector<fs::path> files = texts_in(folder / sign);
    for (std::size_t i = 0; i < files.size(); ++i)
      if (part == Part::all || (i % kTestShare == kTestShare - 1) == (part == Part::test))
        result.push_back(files[i]);
  }
  return result;
}

Texts read_imdb(const std::vector<fs::path>& files) {
  Texts result;
  for (const fs::path& file : files) {
    const bool positive = file.parent_path().filename() == "pos";
    result.scores.push_back(static_cast<float>(rating_of(file, positive)));
    result.labels.push_back(positive ? 1 : 0);
    result.texts.push_back(read_text_file(file, kMaxReviewBytes));
  }
  return result;
}

Texts parse_reviews(const std::string& table, const std::string& name) {
  Texts result;
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < table.size();) {
    const std::size_t end = std::min(table.find('\n', begin), table.size());
    std::string_view line(table.data() + begin, end - begin);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    append_line(line, name + ": line " + std::to_string(++number), result);
    begin = end + 1;
  }
  if (result.texts.empty()) throw InputError(name + ": no line in it: check the path");
  set_median_labels(name, result);
  return result;
}

Texts read_reviews(const fs::path& file) {
  return parse_reviews(read_text_file(file, kMaxTableBytes), file.string());
}

WorkingSet text_set(const Texts& texts, const Texts& vocabulary, const std::string& name) {
  const Vocabulary words(vocabulary.texts, name);
  WorkingSet set;
  set.inputs = words.size();
  set.class_names = {"negative", "positive"};
  set.labels = texts.labels;
  set.scores = texts.scores;
  set.pixels.reserve(texts.texts.size() * static_cast<std::size_t>(set.inputs));
  for (const std::string& text : texts.texts) words.append_bag(text, set.pixels);
  return set;
}

}  // namespace outerloop::data
