// The checkpoints of a run: finds the newest complete file and deletes old ones.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>

#include "common/base/error.h"
#include "common/store/atomic_file.h"
#include "common/store/files.h"
#include "common/store/sealed_file.h"

namespace outerloop::store {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExtension = ".h5";
constexpr const char* kLatest = "latest";
constexpr const char* kSuperseded = ".superseded";
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

std::vector<std::string> CheckpointFolder::set_aside() const {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator entry(directory_, error), end; !error && entry != end; entry.increment(error))
    if (entry->path().extension() == kSuperseded && update_of(entry->path().stem()) >= 0)
      found.push_back(entry->path().string());
  return found;
}

/// A stale link to an older checkpoint would be worse than no link.
void CheckpointFolder::point_latest(std::int64_t update) {
  const std::string link = directory_ + "/" + kLatest;
  link_refusal_.clear();
  try {
    point_symlink(link, file_name(update));
  } catch (const Error& error) {
    link_refusal_ = error.what();
    std::error_code ignored;
    if (!fs::is_directory(fs::symlink_status(link, ignored))) fs::remove(link, ignored);
  }
}

/// `old`: files set aside by earlier writes.
void CheckpointFolder::delete_surplus(std::int64_t keep, const std::vector<std::string>& old) {
  const auto present = updates();
  const auto surplus = static_cast<std::int64_t>(present.size()) - keep;
  if (keep <= 0 || surplus <= 0) return;
  std::error_code ignored;
  for (std::int64_t i = 0; i < surplus; ++i)
    fs::remove(path_of(present[static_cast<std::size_t>(i)]), ignored);
  for (const auto& path : old) fs::remove(path, ignored);
}

std::string CheckpointFolder::write(const Checkpoint& checkpoint, std::int64_t keep) {
  const std::int64_t update = checkpoint.rule.update;
  if (update < 0)
    throw Error(directory_ + ": no checkpoint can be written of update " + std::to_string(update));
  std::error_code error;
  fs::create_directories(directory_, error);
  if (error) throw Error(directory_ + ": cannot be made: " + error.message());
  remove_leftovers(directory_);
  const auto present = fs::status(path_of(update), error);
  if (fs::exists(present) && !fs::is_regular_file(present))  // writing to a pipe would wait for its reader
    move_over(path_of(update), path_of(update) + kSuperseded);
  const std::string sha256 = write_checkpoint(path_of(update), checkpoint);
  const auto old = set_aside();
  for (const auto other : updates())
    if (other > update && move_over(path_of(other), path_of(other) + kSuperseded) != 0)
      fs::remove(path_of(other), error);  // a resume must not use it
  point_latest(update);
  delete_surplus(keep, old);
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
    } catch (const UnreadableError& error) {
      // Its content may be intact: resuming from an older one would discard it.
      std::error_code gone;
      if (!fs::exists(fs::symlink_status(found.path, gone)) && !gone) continue;
      throw Error(std::string(error.what()) +
                  "; once it can be read, the run continues from it; to continue from an "
                  "older checkpoint, move it away");
    } catch (const InputError& damage) {
      found.passed_over.push_back(damage.what());
    }
  }
  if (present.empty()) return false;
  std::string lines;
  for (const auto& line : found.passed_over) lines += (lines.empty() ? "" : " | ") + line;
  throw InputError(directory_ +
                   ": no checkpoint can be read, so there is nothing to continue from: " + lines);
}

std::string checkpoint_path(const std::string& path) {
  const fs::path named(path);
  std::error_code error;
  if (named.filename() != kLatest || fs::exists(named, error)) return path;
  const std::string folder = named.has_parent_path() ? named.parent_path().string() : ".";
  const CheckpointFolder checkpoints(folder);
  const auto present = checkpoints.updates();
  return present.empty() ? path : checkpoints.path_of(present.back());
}

}  // namespace outerloop::store
