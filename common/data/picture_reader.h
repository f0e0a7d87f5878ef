#pragma once
// Reading the pictures of a dataset one by one: those that cannot be read are passed over, counted and named.
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

  /// Empty where the picture is damaged or cannot be read.
  std::optional<GreyImage> read(const std::filesystem::path& file);

  /// Adds to `set` what is to be said: the first ten pictures that were passed over, then their number, and
  /// how many were transparent. A set is complete where every file could be read, damaged or not.
  void finish(const std::filesystem::path& root, WorkingSet& set) const;

  /// Why the first one was passed over; empty where none was.
  std::string first_reason() const;

 private:
  std::string dataset_;
  std::vector<std::string> damaged_;     // a line each
  std::vector<std::string> unreadable_;  // a line each
  std::int64_t transparent_ = 0;
};

}  // namespace outerloop::data
