#include "common/data/text_folder.h"

#include <zlib.h>

#include <algorithm>

#include "common/base/error.h"
#include "common/data/class_split.h"
#include "common/data/listing.h"
#include "common/data/source_files.h"
#include "common/data/words.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMostText = std::size_t{1} << 26;
constexpr std::size_t kMostBytes = std::size_t{1} << 34;
constexpr std::int64_t kMostWords = 1000000;

/// The file's text, decompressed if it is gzipped. Throws InputError that names the file.
std::string read_text(const fs::path& file) {
  gzFile opened = gzopen(file.c_str(), "rb");
  if (opened == nullptr) throw UnreadableFile(file.string() + ": cannot be opened: check its permissions");
  std::string text;
  char block[1 << 14];
  int got = 0;
  while (text.size() <= kMostText && (got = gzread(opened, block, sizeof block)) > 0)
    text.append(block, static_cast<std::size_t>(got));
  int code = Z_OK;
  gzerror(opened, &code);
  // A truncated stream is detected only here.
  const bool whole = gzclose_r(opened) == Z_OK && got >= 0;
  if (code == Z_ERRNO)
    throw UnreadableFile(file.string() + ": cannot be read: check its permissions and its file system");
  if (text.size() > kMostText)
    throw InputError(file.string() + ": more than " + std::to_string(kMostText) +
                     " bytes of text: divide the file");
  if (!whole) throw InputError(file.string() + ": damaged gzip data: fetch the file again");
  if (text.find('\0') != std::string::npos)
    throw InputError(file.string() + ": it holds a NUL, so that it is no text");
  return text;
}

/// Skipped files and their numbers.
struct PassedOver {
  std::int64_t empty = 0;
  std::int64_t brief = 0;
  std::vector<std::string> damaged;
  std::vector<std::string> unreadable;

  void finish(const fs::path& root, WorkingSet& set) const {
    append_first_lines(damaged, "texts: passed over ", "more damaged files in " + root.string(), set.remarks);
    append_first_lines(unreadable, "texts: passed over ",
                       "more files that cannot be read in " + root.string(), set.remarks);
    set.complete = set.complete && unreadable.empty();
    if (empty + brief > 0)
      set.remarks.push_back("texts: passed over " + std::to_string(empty) + " empty documents and " +
                            std::to_string(brief) + " with fewer than " + std::to_string(kFewestWords) +
                            " words in " + root.string());
  }
};

/// All passages, and the class of each.
struct Passages {
  std::vector<std::string> class_names;
  std::vector<std::int32_t> labels;
  std::vector<std::string> texts;
};

Passages read_passages(const fs::path& root, const std::vector<fs::path>& files, std::int64_t words,
                       PassedOver& passed_over) {
  Passages result;
  for (const fs::path& file : files) {
    std::vector<std::string> found;
    try {
      const std::string text = read_text(file);
      found = cut_passages(text, words);
      if (found.empty()) ++(split_words(text).empty() ? passed_over.empty : passed_over.brief);
    } catch (const UnreadableFile& error) {
      passed_over.unreadable.push_back("texts: passed over " + std::string(error.what()));
    } catch (const InputError& error) {
      passed_over.damaged.push_back("texts: passed over " + std::string(error.what()));
    }
    if (found.empty()) continue;
    // Files are sorted by path, so the files of a class are adjacent.
    const std::string name = folder_below(root, file);
    if (result.class_names.empty() || result.class_names.back() != name) result.class_names.push_back(name);
    result.labels.insert(result.labels.end(), found.size(),
                         static_cast<std::int32_t>(result.class_names.size() - 1));
    for (std::string& passage : found) result.texts.push_back(std::move(passage));
  }
  return result;
}

/// The vocabulary of the training classes.
Vocabulary vocabulary_of(const Passages& passages, const std::string& name) {
  const auto& names = passages.class_names;
  const bool all = std::all_of(names.begin(), names.end(), is_held_out);
  WordCounts counts;
  for (std::size_t i = 0; i < passages.texts.size(); ++i)
    if (all || !is_held_out(names[static_cast<std::size_t>(passages.labels[i])]))
      count_words(passages.texts[i], counts);
  return Vocabulary(counts, name);
}

}  // namespace

std::vector<std::string> cut_passages(const std::string& text, std::int64_t words) {
  const std::vector<std::string> all = split_words(text);
  const auto count = static_cast<std::int64_t>(all.size());
  if (count < kFewestWords) return {};
  const std::int64_t length = std::min(words, count);
  std::vector<std::string> passages;
  for (std::int64_t begin = 0; begin + length <= count; begin += length) {
    std::string passage;
    for (std::int64_t i = begin; i < begin + length; ++i)
      passage += (i > begin ? " " : "") + all[static_cast<std::size_t>(i)];
    passages.push_back(std::move(passage));
  }
  return passages;
}

WorkingSet read_text_folder(const fs::path& root, const std::vector<fs::path>& files, std::int64_t words) {
  if (words < kFewestWords || words > kMostWords)
    throw InputError("texts: tasks.words_per_example = " + std::to_string(words) + ", allowed is " +
                     std::to_string(kFewestWords) + " to " + std::to_string(kMostWords));
  PassedOver passed_over;
  Passages passages = read_passages(root, files, words, passed_over);
  if (passages.texts.empty())
    throw InputError("texts: no document of " + std::to_string(kFewestWords) + " words in " + root.string() +
                     "/CLASS/**: give a folder that holds one folder of text files per class");
  const Vocabulary vocabulary = vocabulary_of(passages, "texts: " + root.string());
  if (passages.texts.size() > kMostBytes / static_cast<std::size_t>(vocabulary.size()))
    throw InputError("texts: " + root.string() + ": " + std::to_string(passages.texts.size()) +
                     " passages take more than 16 GiB: raise tasks.words_per_example or take fewer files");
  WorkingSet set;
  passed_over.finish(root, set);
  set.inputs = vocabulary.size();
  set.class_names = std::move(passages.class_names);
  set.labels = std::move(passages.labels);
  set.pixels.reserve(passages.texts.size() * static_cast<std::size_t>(set.inputs));
  for (const std::string& passage : passages.texts) vocabulary.append_bag(passage, set.pixels);
  return set;
}

}  // namespace outerloop::data
