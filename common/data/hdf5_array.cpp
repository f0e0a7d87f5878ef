#include "common/data/hdf5_array.h"

#include <cstring>
#include <stdexcept>

#include "common/base/error.h"
#include "common/base/isolated.h"
#include "common/data/hdf5_dataset.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

// First byte of the child's answer.
constexpr std::uint8_t kRefused = 0, kArrays = 1;

/// Path of the labels of `dataset`; empty if there are none.
std::string labels_of(const Hdf5File& file, const std::string& dataset) {
  if (file.exists(dataset + "_labels")) return dataset + "_labels";
  const std::string beside = dataset.substr(0, dataset.find_last_of('/') + 1) + "labels";
  return beside != dataset && file.exists(beside) ? beside : "";
}

void put(const void* data, std::size_t count, std::vector<std::uint8_t>& bytes) {
  const auto* begin = static_cast<const std::uint8_t*>(data);
  bytes.insert(bytes.end(), begin, begin + count);
}

/// Axes and type, the extents, then the elements in memory order: both processes run on this machine.
void put_array(const Array& array, std::vector<std::uint8_t>& bytes) {
  bytes.push_back(static_cast<std::uint8_t>(array.shape.size()));
  bytes.push_back(array.is_bytes() ? 1 : 0);
  put(array.shape.data(), array.shape.size() * sizeof array.shape[0], bytes);
  if (array.is_bytes())
    put(array.bytes.data(), array.bytes.size(), bytes);
  else
    put(array.numbers.data(), array.numbers.size() * sizeof array.numbers[0], bytes);
}

/// The number of lines, then each line preceded by its length.
void put_lines(const std::vector<std::string>& lines, std::vector<std::uint8_t>& bytes) {
  const std::size_t count = lines.size();
  put(&count, sizeof count, bytes);
  for (const std::string& line : lines) {
    const std::size_t length = line.size();
    put(&length, sizeof length, bytes);
    put(line.data(), length, bytes);
  }
}

std::vector<std::uint8_t> read_in_child(const Hdf5Path& path) {
  std::vector<std::uint8_t> message;
  try {
    Hdf5File file(path.file);
    const Array x = file.read(path.dataset);
    const std::string labels = labels_of(file, path.dataset);
    const Array of_labels = labels.empty() ? Array() : file.read(labels);
    message.push_back(kArrays);
    put_lines(file.remarks(), message);
    put_array(x, message);
    if (!labels.empty()) put_array(of_labels, message);
  } catch (const std::exception& error) {
    message.assign(1, kRefused);
    put(error.what(), std::strlen(error.what()), message);
  }
  return message;
}

/// Reads `count` bytes of the child's answer at `at` and advances `at`. Throws std::out_of_range where there
/// are fewer.
void take(const std::vector<std::uint8_t>& bytes, std::size_t& at, void* to, std::size_t count) {
  if (count > bytes.size() - at) throw std::out_of_range("the child's message ends early");
  if (count > 0) std::memcpy(to, bytes.data() + at, count);
  at += count;
}

std::vector<std::string> take_lines(const std::vector<std::uint8_t>& bytes, std::size_t& at) {
  std::size_t count = 0;
  take(bytes, at, &count, sizeof count);
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t length = 0;
    take(bytes, at, &length, sizeof length);
    if (length > bytes.size()) throw std::out_of_range("the child's message ends early");
    lines.emplace_back(length, ' ');
    take(bytes, at, lines.back().data(), length);
  }
  return lines;
}

/// Reads an array of the child's answer at `at` and advances `at`. Throws std::out_of_range where it does not
/// fit.
Array take_array(const std::vector<std::uint8_t>& bytes, std::size_t& at) {
  std::uint8_t head[2] = {0, 0};
  take(bytes, at, head, sizeof head);
  Array array;
  array.shape.resize(head[0]);
  take(bytes, at, array.shape.data(), array.shape.size() * sizeof array.shape[0]);
  const auto elements = static_cast<std::size_t>(count_elements(array.shape, "HDF5"));
  if (elements > bytes.size()) throw std::out_of_range("the child's message ends early");
  if (head[1] == 1) {
    array.bytes.resize(elements);
    take(bytes, at, array.bytes.data(), elements);
  } else {
    array.numbers.resize(elements);
    take(bytes, at, array.numbers.data(), elements * sizeof array.numbers[0]);
  }
  return array;
}

}  // namespace

Hdf5Path parse_hdf5_path(const std::string& path) {
  const std::size_t colon = path.rfind(":/");
  if (colon == std::string::npos || colon == 0 || colon + 2 >= path.size())
    throw InputError("hdf5: path \"" + path + "\": write FILE.h5:/dataset");
  return {path.substr(0, colon), path.substr(colon + 1)};
}

LabelledArray read_hdf5(const Hdf5Path& path) {
  const std::string name = path.file.string();
  std::error_code error;
  if (!fs::is_regular_file(path.file, error)) throw InputError(name + ": no such file: check the path");
  constexpr std::size_t kMostBytes = 2 * (static_cast<std::size_t>(kMostElements) * sizeof(double) + 4096);
  const base::IsolatedResult result = base::run_isolated([&] { return read_in_child(path); }, kMostBytes);
  if (result.outcome != base::IsolatedResult::Outcome::finished || result.bytes.empty())
    throw InputError(name + ": damaged: the HDF5 library " +
                     (result.outcome == base::IsolatedResult::Outcome::endless
                          ? "did not come to an end with it"
                          : "crashed on it") +
                     ": write the file again");
  if (result.bytes[0] == kRefused)
    throw InputError(std::string(result.bytes.begin() + 1, result.bytes.end()));
  LabelledArray arrays;
  std::size_t at = 1;
  try {
    arrays.remarks = take_lines(result.bytes, at);
    arrays.x = take_array(result.bytes, at);
    if (at < result.bytes.size()) arrays.labels = take_array(result.bytes, at);
  } catch (const std::out_of_range&) {
    throw InputError(name + ": damaged: the HDF5 library made no array of it: write the file again");
  }
  return arrays;
}

}  // namespace outerloop::data
