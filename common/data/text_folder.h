#pragma once
// Reader of a folder of text classes, the layout of 20 Newsgroups and aclImdb/train: CLASS/**. Texts are cut
// into passages that become bags of words.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/data/working_set.h"

namespace outerloop::data {

/// Fewest words of an example, and of tasks.words_per_example.
constexpr std::int64_t kFewestWords = 20;

/// Passages of `words` words each (words.h), separated by spaces. The remainder at the end is dropped; a text
/// of kFewestWords to `words` words is one passage.
std::vector<std::string> cut_passages(const std::string& text, std::int64_t words);

/// Every passage of `words` words in these files of `root`, plain or gzipped, as counts of the most frequent
/// words. A class is a folder directly below `root`. The vocabulary comes from the training classes of the
/// class split, or from all classes if it holds all of them out. Documents that are empty or shorter than
/// kFewestWords are skipped and counted in the set's remarks; damaged ones (truncated gzip data, more than 64
/// MiB of text, a NUL) and unreadable ones are listed (the first ten of each). Throws InputError that names
/// `root` where no example is left or the examples would take more than 16 GiB, and where `words` is out of
/// range.
WorkingSet read_text_folder(const std::filesystem::path& root,
                            const std::vector<std::filesystem::path>& files, std::int64_t words);

}  // namespace outerloop::data
