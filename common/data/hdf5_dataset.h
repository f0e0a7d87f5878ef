#pragma once
// Reader of an untrusted HDF5 file: restricts the files that it may refer to, and respects locks. The HDF5
// library crashes on some malformed files, so use this only in a separate, short-lived process: nothing is
// closed, and external links are switched off for the whole process.
#include <hdf5.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "common/data/array.h"

namespace outerloop::data {

struct Hdf5Shape {
  std::vector<std::int64_t> extents;
  bool bytes = false;           ///< the elements are unsigned bytes
  std::int64_t chunk_rows = 1;  ///< rows that are packed together
};

class Hdf5File {
 public:
  /// Throws InputError that names the file: it cannot be read, is not an HDF5 file, is open elsewhere for
  /// writing (shown by its lock, or by the mark of a program that did not close it), or is damaged. If the
  /// file system has no locks, it is read without one.
  explicit Hdf5File(const std::filesystem::path& path);

  /// Throws InputError that names file and dataset: missing, behind an external link, numbers that are in
  /// another file (external storage), a virtual dataset whose sources are missing (also one in the middle of
  /// a pattern) or do not lie in the file's own folder or below it, another kind of element, no or more than
  /// four axes, far more elements than the file holds, damaged.
  Array read(const std::string& dataset);

  /// Throws what read() throws, but for numbers that are damaged.
  Hdf5Shape shape(const std::string& dataset);
  /// Rows first .. first + count - 1 along the first axis. Throws what read() throws, and for rows that are
  /// not there.
  Array read_rows(const std::string& dataset, std::int64_t first, std::int64_t count);

  /// Throws InputError where damage forbids to tell.
  bool exists(const std::string& dataset) const;

  /// Messages for the user, a line each: no locks, numbers that were never written or come from no source.
  const std::vector<std::string>& remarks() const { return remarks_; }

 private:
  /// A dataset that passed all checks.
  struct Opened {
    hid_t id = -1;
    std::string name;  // with its file's
    std::vector<std::int64_t> shape;
    bool bytes = false;
  };
  Opened open(const std::string& dataset);
  static Array read_selected(const Opened& opened, std::vector<std::int64_t> shape, hid_t memory,
                             hid_t space);
  hid_t open_dataset(hid_t file, const std::string& dataset, const std::string& name) const;
  hid_t open_file(const std::filesystem::path& path);
  hid_t open_source(const std::string& file, const std::string& name);
  /// The patterns of a virtual dataset's mapping.
  struct VirtualNames {
    std::string file, dataset;
  };
  bool is_source(hid_t file, const std::string& source, const std::string& dataset, bool file_blocks);
  /// Throws InputError if there is a block after the missing number `block`.
  void require_last_block(hid_t file, const VirtualNames& names, std::size_t block, const std::string& name);
  /// Stored bytes of the dataset.
  std::int64_t check_storage(hid_t file, hid_t dataset, const std::string& name, int depth);
  std::int64_t check_sources(hid_t file, hid_t creation, const std::string& name, int depth);

  std::filesystem::path path_;
  hid_t file_ = -1;
  std::map<std::string, hid_t> sources_;  // of virtual datasets, by path
  std::vector<std::string> remarks_;
};

}  // namespace outerloop::data
