#pragma once
// Reader of a dataset's pictures, one by one. Pictures that cannot be read are skipped, counted and reported.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/data/image.h"
#include "common/data/working_set.h"

namespace outerloop::data {

class PictureReader {
 public:
  /// `dataset` begins each line.
  explicit PictureReader(std::string dataset) : dataset_(std::move(dataset)) {}

  /// Empty if the picture is damaged or cannot be read.
  std::optional<GreyImage> read(const std::filesystem::path& file);

  /// Adds remarks to `set`: the first ten skipped pictures, then their number, and how many were transparent.
  /// A set is complete if every file could be read, damaged or not.
  void finish(const std::filesystem::path& root, WorkingSet& set) const;

  /// Why the first one was skipped; empty if none was.
  std::string first_reason() const;

 private:
  std::string dataset_;
  std::vector<std::string> damaged_;     // a line each
  std::vector<std::string> unreadable_;  // a line each
  std::int64_t transparent_ = 0;
};

}  // namespace outerloop::data
