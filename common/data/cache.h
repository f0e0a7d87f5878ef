#pragma once
// The dataset cache on disk: decoded, rendered, cropped or resized sets, one file per dataset, source and
// size.
//
// Layout, little-endian: magic "OLDATA\r\n", version (32 bits), side (32), inputs (64; 0 where side is not),
// classes (64), bytes of all class names (64), examples (64), scores (64; none, or as many as examples),
// bytes of all remarks (64), key (32 bytes), SHA-256 of the payload (32 bytes); payload: every class name
// followed by a NUL, every remark followed by a NUL, two IEEE 754 doubles per class (its range), labels (32
// bits each), scores (IEEE 754 single), pixels (side * side or `inputs` bytes per example).
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "common/base/sha256.h"
#include "common/data/working_set.h"

namespace outerloop::data {

/// Reads a cache file. Empty if there is none. Throws InputError (the reason, without the file's name) where
/// it is damaged, truncated, of another version, or was made from another `key`. Sizes are compared with the
/// file's before anything is allocated.
std::optional<WorkingSet> read_cache(const std::filesystem::path& file, const base::Digest& key);

/// Writes the file with CacheFolder::write (cache_folder.h). Returns its message for the user, or "". Throws
/// Error where it cannot be written.
std::string write_cache(const std::filesystem::path& file, const base::Digest& key, const WorkingSet& set);

/// The cached set, or the result of `make`, which is then cached if it is complete. A cache that cannot be
/// read or written only costs time; `remarks` reports it. `directory` empty: no cache.
WorkingSet cached(const std::string& directory, const std::string& file_name, const base::Digest& key,
                  const std::function<WorkingSet()>& make, std::vector<std::string>& remarks);

}  // namespace outerloop::data
