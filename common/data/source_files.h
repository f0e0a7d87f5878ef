#pragma once
// Files of a dataset: listing in a fixed order, reading with a limit, canonical paths, stamps for the cache.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace outerloop::data {

/// Every byte of a regular file. Throws InputError that names it where it is missing, no regular file, empty,
/// not readable, or larger than `limit` bytes (checked before anything is allocated).
std::vector<std::uint8_t> read_file(const std::filesystem::path& path, std::uint64_t limit);

/// Regular files at any depth below `root` whose extension, in lower case and with its dot, is one of
/// `extensions`; sorted by path. Folders that may not be read are passed over. Throws InputError where `root`
/// is no folder.
std::vector<std::filesystem::path> list_files(const std::filesystem::path& root,
                                              const std::vector<std::string>& extensions);

/// The one name of a path: absolute, symbolic links resolved as far as the path exists, no trailing slash.
std::filesystem::path canonical_path(const std::filesystem::path& path);

/// "path size mtime", which differs when a file was replaced: what a cache's key is made of.
std::string file_stamp(const std::filesystem::path& path);

}  // namespace outerloop::data
