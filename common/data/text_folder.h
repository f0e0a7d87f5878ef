#pragma once
// Reader of a folder of classes of text files, as 20 Newsgroups and aclImdb/train are kept: CLASS/**, each
// cut into passages that become bags of words.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/data/working_set.h"

namespace outerloop::data {

/// Fewest words of an example, and of tasks.words_per_example.
constexpr std::int64_t kFewestWords = 20;

/// The words of a text (words.h), separated by spaces, `words` of them in each passage. What is left at the
/// end is dropped; a text of kFewestWords to `words` words is one passage.
std::vector<std::string> cut_passages(const std::string& text, std::int64_t words);

/// Every passage of `words` words of these files of `root`, as its counts of the most frequent words; plain
/// or gzipped. A class is a folder right below `root`. The vocabulary is that of the classes which the class
/// split leaves for training, or of all, where it holds all of them out. Documents that are empty or shorter
/// than kFewestWords are passed over and counted in the set's remarks; damaged ones (gzip data that is cut
/// short, more than 64 MiB of text, a NUL in it) and those that cannot be read are named (the first ten of
/// each). Throws InputError that names `root`
/// where no example is left, or where they would take more than 16 GiB; where `words` is out of range.
WorkingSet read_text_folder(const std::filesystem::path& root,
                            const std::vector<std::filesystem::path>& files, std::int64_t words);

}  // namespace outerloop::data
