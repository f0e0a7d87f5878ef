// The checkpoints of a run: which file is the newest whole one, and which go.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>

#include "common/base/error.h"
#include "common/store/atomic_file.h"
#include "common/store/files.h"

namespace outerloop::store {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExtension = ".h5";
constexpr std::size_t kDigits = 9;

std::string file_name(std::int64_t update) {
  char text[32];
  std::snprintf(text, sizeof text, "%09lld%s", static_cast<long long>(update), kExtension);
  return text;
}

/// The update of NNNNNNNNN.h5, or -1 for any other name.
std::int64_t update_of(const fs::path& path) {
  const std::string stem = path.stem().string();
  std::int64_t update = -1;
  const auto [end, error] = std::from_chars(stem.data(), stem.data() + stem.size(), update);
  const bool number = error == std::errc() && end == stem.data() + stem.size() && update >= 0;
  return number && path.extension() == kExtension && stem.size() >= kDigits ? update : -1;
}

}  // namespace

std::string CheckpointFolder::path_of(std::int64_t update) const {
  return directory_ + "/" + file_name(update);
}

std::vector<std::int64_t> CheckpointFolder::updates() const {
  std::vector<std::int64_t> found;
  std::error_code error;
  fs::directory_iterator entry(directory_, error);
  if (error == std::errc::no_such_file_or_directory) return found;
  for (const fs::directory_iterator end; !error && entry != end; entry.increment(error))
    if (const auto update = update_of(entry->path()); update >= 0) found.push_back(update);
  if (error) throw InputError(directory_ + ": the checkpoints cannot be listed: " + error.message());
  std::sort(found.begin(), found.end());
  return found;
}

std::string CheckpointFolder::write(const Checkpoint& checkpoint, std::int64_t keep) {
  const std::int64_t update = checkpoint.rule.update;
  if (update < 0)
    throw Error(directory_ + ": no checkpoint can be written of update " + std::to_string(update));
  std::error_code error;
  fs::create_directories(directory_, error);
  if (error) throw Error(directory_ + ": cannot be made: " + error.message());
  remove_leftovers(directory_);
  const std::string sha256 = write_checkpoint(path_of(update), checkpoint);
  for (const auto other : updates())
    if (other > update) fs::rename(path_of(other), path_of(other) + ".superseded", error);
  point_symlink(directory_ + "/latest", file_name(update));

  const auto present = updates();
  const auto surplus = static_cast<std::int64_t>(present.size()) - keep;
  for (std::int64_t i = 0; keep > 0 && i < surplus; ++i)
    fs::remove(path_of(present[static_cast<std::size_t>(i)]), error);
  return sha256;
}

bool CheckpointFolder::read_latest(Found& found) const {
  const auto present = updates();
  found = Found();
  for (auto update = present.rbegin(); update != present.rend(); ++update) {
    found.path = path_of(*update);
    try {
      found.checkpoint = read_checkpoint(found.path);
      return true;
    } catch (const InputError& damage) {
      found.passed_over.push_back(damage.what());
    }
  }
  if (present.empty()) return false;
  std::string lines;
  for (const auto& line : found.passed_over) lines += (lines.empty() ? "" : " | ") + line;
  throw InputError(directory_ + ": no checkpoint can be read, so there is nothing to go on from: " + lines);
}

}  // namespace outerloop::store
