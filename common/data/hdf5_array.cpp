#include "common/data/hdf5_array.h"

#include <cstring>
#include <functional>
#include <stdexcept>

#include "common/base/error.h"
#include "common/base/isolated.h"
#include "common/data/hdf5_dataset.h"
#include "common/data/source_files.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

// First byte of the child's answer.
constexpr std::uint8_t kRefused = 0, kArrays = 1;
constexpr std::size_t kMostRemarks = 1 << 16;

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

/// The child's answer: the remarks on the file, then the output of `put_content`; or why the file was
/// rejected.
std::vector<std::uint8_t> message_of(
    const Hdf5Path& path, const std::function<void(Hdf5File&, std::vector<std::uint8_t>&)>& put_content) {
  std::vector<std::uint8_t> message;
  try {
    Hdf5File file(path.file);
    std::vector<std::uint8_t> content;
    put_content(file, content);
    message.push_back(kArrays);
    put_lines(file.remarks(), message);
    put(content.data(), content.size(), message);
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

namespace {

/// Runs `put_content` in a child process, with an answer of at most `most` bytes, and passes the content to
/// `take_content`. Returns the remarks on the file.
std::vector<std::string> from_child(
    const Hdf5Path& path, std::size_t most,
    const std::function<void(Hdf5File&, std::vector<std::uint8_t>&)>& put_content,
    const std::function<void(const std::vector<std::uint8_t>&, std::size_t&)>& take_content) {
  const std::string name = path.file.string();
  require_file(path.file);
  const base::IsolatedResult result =
      base::run_isolated([&] { return message_of(path, put_content); }, most + kMostRemarks);
  if (result.outcome != base::IsolatedResult::Outcome::finished || result.bytes.empty())
    throw InputError(name + ": damaged: the HDF5 library " +
                     (result.outcome == base::IsolatedResult::Outcome::endless ? "did not finish reading it"
                                                                               : "crashed on it") +
                     ": write the file again");
  if (result.bytes[0] == kRefused)
    throw InputError(std::string(result.bytes.begin() + 1, result.bytes.end()));
  std::size_t at = 1;
  try {
    auto remarks = take_lines(result.bytes, at);
    take_content(result.bytes, at);
    return remarks;
  } catch (const std::out_of_range&) {
    throw InputError(name +
                     ": damaged: the HDF5 library could not read an array from it: write the file again");
  }
}

}  // namespace

LabelledArray read_hdf5(const Hdf5Path& path) {
  LabelledArray arrays;
  const auto put_content = [&](Hdf5File& file, std::vector<std::uint8_t>& message) {
    put_array(file.read(path.dataset), message);
    const std::string labels = labels_of(file, path.dataset);
    if (!labels.empty()) put_array(file.read(labels), message);
  };
  const auto take_content = [&](const std::vector<std::uint8_t>& bytes, std::size_t& at) {
    arrays.x = take_array(bytes, at);
    if (at < bytes.size()) arrays.labels = take_array(bytes, at);
  };
  arrays.remarks = from_child(path, 2 * static_cast<std::size_t>(kMostElements) * sizeof(double), put_content,
                              take_content);
  return arrays;
}

Hdf5Rows::Hdf5Rows(const Hdf5Path& path) : path_(path) {
  std::uint8_t bytes = 0;
  const auto put_content = [&](Hdf5File& file, std::vector<std::uint8_t>& message) {
    const Hdf5Shape shape = file.shape(path_.dataset);
    message.push_back(static_cast<std::uint8_t>(shape.extents.size()));
    message.push_back(shape.bytes ? 1 : 0);
    put(&shape.chunk_rows, sizeof shape.chunk_rows, message);
    put(shape.extents.data(), shape.extents.size() * sizeof shape.extents[0], message);
  };
  const auto take_content = [&](const std::vector<std::uint8_t>& message, std::size_t& at) {
    std::uint8_t axes = 0;
    take(message, at, &axes, sizeof axes);
    take(message, at, &bytes, sizeof bytes);
    take(message, at, &chunk_rows_, sizeof chunk_rows_);
    shape_.resize(axes);
    take(message, at, shape_.data(), shape_.size() * sizeof shape_[0]);
  };
  remarks_ = from_child(path_, 1024, put_content, take_content);
  bytes_ = bytes == 1;
}

Array Hdf5Rows::read(std::int64_t first, std::int64_t count) const {
  Array array;
  const auto row = count_elements(shape_, path_.file.string()) / shape_.front();
  const auto put_content = [&](Hdf5File& file, std::vector<std::uint8_t>& message) {
    put_array(file.read_rows(path_.dataset, first, count), message);
  };
  const auto take_content = [&](const std::vector<std::uint8_t>& message, std::size_t& at) {
    array = take_array(message, at);
  };
  from_child(path_, static_cast<std::size_t>(count * row) * sizeof(double) + 1024, put_content, take_content);
  auto expected = shape_;
  expected.front() = count;
  if (array.shape != expected || array.is_bytes() != bytes_)
    throw InputError(path_.file.string() + ":" + path_.dataset +
                     ": changed while it was read: wait for the end of the program that writes it");
  return array;
}

}  // namespace outerloop::data
