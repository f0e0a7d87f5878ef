#include "common/data/hdf5_virtual.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

/// The part of a path pattern that holds its first block number: "a/b%b/c" → "a/", "b%b", "/c".
struct NumberedPart {
  std::string before, name;
};

NumberedPart numbered_part(const std::string& pattern) {
  std::size_t at = 0;
  while (at < pattern.size() && !has_blocks(pattern.substr(0, at))) ++at;
  const std::size_t slash = pattern.substr(0, at).find_last_of('/');
  const std::size_t begin = slash == std::string::npos ? 0 : slash + 1;
  return {expanded(pattern.substr(0, begin), 0),
          pattern.substr(begin, std::min(pattern.find('/', at), pattern.size()) - begin)};
}

/// The number of the block that has this name.
std::optional<std::size_t> block_of(const std::string& name, const std::string& pattern) {
  for (std::size_t at = 0; at < name.size(); ++at) {
    std::size_t block = 0;
    const auto [end, error] = std::from_chars(name.data() + at, name.data() + name.size(), block);
    if (error == std::errc() && expanded(pattern, block) == name) return block;
  }
  return std::nullopt;
}

std::string name_text(ssize_t (*get)(hid_t, std::size_t, char*, std::size_t), hid_t creation, std::size_t i) {
  const ssize_t size = get(creation, i, nullptr, 0);
  std::string text(static_cast<std::size_t>(std::max<ssize_t>(0, size)) + 1, '\0');
  get(creation, i, text.data(), text.size());
  return text.c_str();
}

using Range = std::pair<hsize_t, hsize_t>;

/// True if each of the numbers 0 .. count - 1 is in a range; both ends of a range belong to it.
bool covers(std::vector<Range> ranges, hsize_t count) {
  std::sort(ranges.begin(), ranges.end());
  hsize_t next = 0;
  for (const auto& [first, last] : ranges) {
    if (first > next) return false;
    next = std::max(next, last + 1);
  }
  return next >= count;
}

}  // namespace

std::string virtual_file(hid_t creation, std::size_t i) {
  return name_text(H5Pget_virtual_filename, creation, i);
}

std::string virtual_dataset(hid_t creation, std::size_t i) {
  return name_text(H5Pget_virtual_dsetname, creation, i);
}

std::string expanded(const std::string& pattern, std::size_t block) {
  std::string name;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const std::string_view two = std::string_view(pattern).substr(i, 2);
    if (two == "%b")
      name += std::to_string(block);
    else
      name += pattern[i];
    if (two == "%b" || two == "%%") ++i;
  }
  return name;
}

bool has_blocks(const std::string& pattern) { return expanded(pattern, 0) != expanded(pattern, 1); }

std::optional<std::size_t> later_file(const fs::path& folder, const std::string& pattern, std::size_t block) {
  const NumberedPart part = numbered_part(pattern);
  std::error_code error;
  fs::directory_iterator entry(folder / part.before, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const auto number = block_of(entry->path().filename().string(), part.name);
    std::error_code ignored;
    if (number && *number > block && fs::exists(folder / expanded(pattern, *number), ignored)) return number;
  }
  return std::nullopt;
}

std::optional<std::size_t> later_dataset(hid_t file, const std::string& pattern, std::size_t block) {
  const NumberedPart part = numbered_part(pattern);
  std::vector<std::string> names;
  const auto append = [](hid_t, const char* name, const H5L_info_t*, void* to) -> herr_t {
    static_cast<std::vector<std::string>*>(to)->emplace_back(name);
    return 0;
  };
  H5Literate_by_name(file, part.before.empty() ? "/" : part.before.c_str(), H5_INDEX_NAME, H5_ITER_NATIVE,
                     nullptr, append, &names, H5P_DEFAULT);
  for (const std::string& name : names) {
    const auto number = block_of(name, part.name);
    if (number && *number > block && H5Lexists(file, expanded(pattern, *number).c_str(), H5P_DEFAULT) > 0)
      return number;
  }
  return std::nullopt;
}

bool has_unmapped(hid_t creation, hid_t dataset) {
  const hid_t whole = H5Dget_space(dataset);
  const int axes = H5Sget_simple_extent_ndims(whole);
  std::size_t count = 0;
  if (axes < 1 || H5Pget_virtual_count(creation, &count) < 0) return false;
  std::vector<hsize_t> shape(static_cast<std::size_t>(axes)), first(shape), last(shape);
  H5Sget_simple_extent_dims(whole, shape.data(), nullptr);
  // Mappings may overlap, so that the number of their elements alone does not tell.
  std::vector<Range> rows;
  hsize_t elements = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const hid_t space = H5Pget_virtual_vspace(creation, i);
    const hssize_t selected = H5Sget_select_npoints(space);
    const bool bounded = selected > 0 && H5Sget_select_bounds(space, first.data(), last.data()) >= 0;
    if (space >= 0) H5Sclose(space);
    if (selected < 0) return false;  // without limit: the sources set the extent
    if (!bounded) continue;
    elements += static_cast<hsize_t>(selected);
    rows.emplace_back(first.front(), last.front());
  }
  return elements < static_cast<hsize_t>(H5Sget_simple_extent_npoints(whole)) ||
         !covers(std::move(rows), shape.front());
}

}  // namespace outerloop::data
