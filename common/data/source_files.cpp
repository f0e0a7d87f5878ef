#include "common/data/source_files.h"

#include <algorithm>
#include <cctype>
#include <fstream>

#include "common/base/error.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

std::string lower_extension(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension;
}

}  // namespace

std::vector<std::uint8_t> read_file(const fs::path& path, std::uint64_t limit) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) throw InputError(path.string() + ": no such file: check the path");
  const std::uintmax_t size = fs::file_size(path, error);
  if (error) throw InputError(path.string() + ": " + error.message() + ": check the file");
  if (size == 0) throw InputError(path.string() + ": the file is empty: fetch it again");
  if (size > limit)
    throw InputError(path.string() + ": " + std::to_string(size) + " bytes, more than the " +
                     std::to_string(limit) + " that are read: use a smaller file");
  std::ifstream file(path, std::ios::binary);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(size));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  if (!file) throw InputError(path.string() + ": cannot be read: check its permissions");
  return bytes;
}

std::vector<fs::path> list_files(const fs::path& root, const std::vector<std::string>& extensions) {
  std::error_code error;
  if (!fs::is_directory(root, error)) throw InputError(root.string() + ": no such folder: check the path");
  std::vector<fs::path> files;
  fs::recursive_directory_iterator entry(root, fs::directory_options::skip_permission_denied, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code ignored;
    const bool wanted =
        std::find(extensions.begin(), extensions.end(), lower_extension(entry->path())) != extensions.end();
    if (wanted && entry->is_regular_file(ignored)) files.push_back(entry->path());
  }
  if (error) throw InputError(root.string() + ": " + error.message() + ": check the folder");
  std::sort(files.begin(), files.end());
  return files;
}

fs::path canonical_path(const fs::path& path) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  fs::path canonical = fs::weakly_canonical(error ? path : absolute, error);
  if (error) canonical = absolute.lexically_normal();
  return canonical.has_filename() || !canonical.has_parent_path() ? canonical : canonical.parent_path();
}

std::string file_stamp(const fs::path& path) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);
  const auto time = fs::last_write_time(path, error).time_since_epoch().count();
  return path.string() + " " + std::to_string(error ? 0 : size) + " " + std::to_string(error ? 0 : time);
}

}  // namespace outerloop::data
