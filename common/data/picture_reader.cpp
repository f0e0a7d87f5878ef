#include "common/data/picture_reader.h"

#include "common/base/error.h"
#include "common/data/listing.h"
#include "common/data/source_files.h"

namespace outerloop::data {
namespace fs = std::filesystem;

std::optional<GreyImage> PictureReader::read(const fs::path& file) {
  try {
    GreyImage picture = read_picture(file);
    if (picture.transparent) ++transparent_;
    return picture;
  } catch (const UnreadableFile& error) {
    unreadable_.emplace_back(error.what());
  } catch (const InputError& error) {
    damaged_.emplace_back(error.what());
  }
  return std::nullopt;
}

void PictureReader::finish(const fs::path& root, WorkingSet& set) const {
  const std::string begin = dataset_ + ": passed over ";
  for (const auto& [reasons, what] : {std::pair{&damaged_, "more damaged pictures in "},
                                      std::pair{&unreadable_, "more pictures that cannot be read in "}}) {
    std::vector<std::string> lines;
    for (const std::string& reason : *reasons) lines.push_back(begin + reason);
    append_first_lines(lines, begin, what + root.string(), set.remarks);
  }
  if (!unreadable_.empty()) {
    set.complete = false;
    set.remarks.push_back(dataset_ + ": " + std::to_string(unreadable_.size()) + " of the pictures in " +
                          root.string() + " could not be read, so the next start reads all of them again");
  }
  if (transparent_ > 0)
    set.remarks.push_back(dataset_ + ": " + std::to_string(transparent_) + " of the pictures in " +
                          root.string() + " are transparent in parts, and were put on white");
}

std::string PictureReader::first_reason() const {
  return !unreadable_.empty() ? unreadable_.front() : !damaged_.empty() ? damaged_.front() : "";
}

}  // namespace outerloop::data
