#pragma once
// Readers of scored texts: IMDB's folders (Maas et al. 2011), and tables of score and text.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/data/request.h"
#include "common/data/working_set.h"

namespace outerloop::data {

/// Texts of two classes, 0 negative and 1 positive.
struct Texts {
  std::vector<std::string> texts;
  std::vector<float> scores;         ///< as in the files
  std::vector<std::int32_t> labels;  ///< 0 or 1
};

/// The .txt files of one part of `folder`, sorted: train/{neg,pos} or test/{neg,pos}; if it holds neg/ and
/// pos/ itself, every fifth file of each is the test part. Throws InputError that names a folder that is
/// missing or empty.
std::vector<std::filesystem::path> imdb_files(const std::filesystem::path& folder, Part part);

/// Reads the files that imdb_files found. Scores are the ratings (1..10) in the files' names, ID_RATING.txt.
/// Throws InputError that names the file: empty, more than 1 MiB, a name of another form, a rating beyond 5
/// in neg/ or below 6 in pos/.
Texts read_imdb(const std::vector<std::filesystem::path>& files);

/// A table: lines of score and text, or of an identifier, score and text, separated by tabs. Texts with a
/// score below the median are negative, the others positive. Throws InputError that names file and line: not
/// such a table, a score that is no finite number, no text, fewer than two different scores, more than 1 GiB.
Texts parse_reviews(const std::string& table, const std::string& name);
Texts read_reviews(const std::filesystem::path& file);

/// Bags of words (words.h); only `vocabulary` contributes to the vocabulary. Class names are "negative" and
/// "positive".
WorkingSet text_set(const Texts& texts, const Texts& vocabulary, const std::string& name);

}  // namespace outerloop::data
