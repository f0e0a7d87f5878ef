#include "common/data/hdf5_dataset.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <set>
#include <system_error>
#include <utility>

#include "common/base/error.h"
#include "common/data/hdf5_virtual.h"
#include "common/data/source_files.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

// Neither Deflate nor any other common filter packs more than this into one byte.
constexpr std::int64_t kMaxCompression = 1032;
// Elements that may lack storage: elements never written have the fill value.
constexpr std::int64_t kMostUnwritten = std::int64_t{1} << 26;
constexpr int kDeepest = 4;                // virtual datasets made of virtual datasets
constexpr int kLinks = 16;                 // soft links on the way to a dataset
constexpr std::size_t kSources = 1 << 16;  // of a virtual dataset
constexpr char kSignature[] = "\x89HDF\r\n\x1a\n";
constexpr const char* kNoLocking = "HDF5_USE_FILE_LOCKING=FALSE";

hid_t require(hid_t id, const std::string& what) {
  if (id < 0) throw InputError(what);
  return id;
}

struct OpenFile {
  int descriptor;
  ~OpenFile() {
    if (descriptor >= 0) ::close(descriptor);
  }
};

/// The signature is at 0, or behind a user block of 512, 1024, 2048 ... bytes.
bool has_signature(int descriptor) {
  const off_t size = ::lseek(descriptor, 0, SEEK_END);
  char bytes[sizeof kSignature - 1];
  for (off_t at = 0; at < size; at = at == 0 ? 512 : 2 * at) {
    if (::pread(descriptor, bytes, sizeof bytes, at) != static_cast<ssize_t>(sizeof bytes)) return false;
    if (std::memcmp(bytes, kSignature, sizeof bytes) == 0) return true;
  }
  return false;
}

/// The library's error text, from the called function to the one that failed.
std::string library_text() {
  std::string text;
  const auto append = [](unsigned, const H5E_error2_t* entry, void* to) -> herr_t {
    auto& all = *static_cast<std::string*>(to);
    if (entry->desc != nullptr) all += (all.empty() ? "" : "; ") + std::string(entry->desc);
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, append, &text);
  return text;
}

std::string newer_version() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return "one of a newer version than HDF5 " + std::to_string(major) + "." + std::to_string(minor) + "." +
         std::to_string(release) + " reads: write it again";
}

[[noreturn]] void refuse_locked(const std::string& name) {
  throw InputError(name + ": locked: another program has it open for writing: close it there, or set " +
                   kNoLocking + " if nothing writes to it");
}

[[noreturn]] void refuse_damaged(const std::string& name, const std::string& text) {
  if (text.find("consistency flags") != std::string::npos ||
      text.find("already open for") != std::string::npos)
    throw InputError(name +
                     ": another program has it open for writing, or ended without closing it: close it "
                     "there, or remove the mark with h5clear -s " +
                     name);
  // The text of any other failure may hold "superblock" or "block".
  if (text.find("unable to lock") != std::string::npos) refuse_locked(name);
  if (text.find("truncated file") != std::string::npos)
    throw InputError(name + ": incomplete: the HDF5 file is shorter than it says: fetch or write it again");
  throw InputError(name + ": a damaged HDF5 file, or " + newer_version());
}

/// False if the file system has no locks, which is added to `remarks`.
bool lockable(int descriptor, const std::string& name, std::vector<std::string>& remarks) {
  const char* wish = std::getenv("HDF5_USE_FILE_LOCKING");
  if (wish != nullptr && (std::strcmp(wish, "FALSE") == 0 || std::strcmp(wish, "0") == 0)) return false;
  int status = 0;
  do status = ::flock(descriptor, LOCK_SH | LOCK_NB);
  while (status != 0 && errno == EINTR);
  if (status == 0) {
    ::flock(descriptor, LOCK_UN);
    return true;
  }
  if (errno == EWOULDBLOCK) refuse_locked(name);
  remarks.push_back(name + ": read without a lock, which its file system does not have (" +
                    std::generic_category().message(errno) + ")");
  return false;
}

bool is_inside(const fs::path& inner, const fs::path& outer) {
  const auto ends = std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end());
  return ends.first == outer.end();
}

/// The target of a soft link.
std::string target_of(hid_t file, const std::string& link, std::size_t size) {
  std::vector<char> value(size + 1);
  if (H5Lget_val(file, link.c_str(), value.data(), value.size(), H5P_DEFAULT) < 0) return "";
  return value.data();
}

/// Whether the object's header can be read. HDF5 1.12 has changed the function's name and its structure.
bool read_info(hid_t file, const std::string& name, H5O_info_t& info) {
#if H5_VERSION_GE(1, 12, 0)
  return H5Oget_info_by_name3(file, name.c_str(), &info, H5O_INFO_BASIC, H5P_DEFAULT) >= 0;
#else
  return H5Oget_info_by_name2(file, name.c_str(), &info, H5O_INFO_BASIC, H5P_DEFAULT) >= 0;
#endif
}

/// True if the path to `dataset` contains an external link.
bool behind_external_link(hid_t file, const std::string& dataset, int depth = 0) {
  for (std::size_t at = 1; at < dataset.size() && depth < kLinks;) {
    const std::size_t end = std::min(dataset.find('/', at), dataset.size());
    const std::string link = dataset.substr(0, end);
    H5L_info_t info;
    if (H5Lget_info(file, link.c_str(), &info, H5P_DEFAULT) < 0) return false;
    if (info.type == H5L_TYPE_EXTERNAL) return true;
    if (info.type == H5L_TYPE_SOFT) {
      const std::string target = target_of(file, link, info.u.val_size);
      const std::string whole =
          !target.empty() && target[0] == '/' ? target : link.substr(0, link.rfind('/') + 1) + target;
      return behind_external_link(file, whole + dataset.substr(end), depth + 1);
    }
    at = end + 1;
  }
  return false;
}

std::vector<std::int64_t> shape_of(hid_t dataset, const std::string& name) {
  const hid_t space =
      require(H5Dget_space(dataset), name + ": its shape cannot be read: fetch the file again");
  const int axes = H5Sget_simple_extent_ndims(space);
  std::vector<hsize_t> extents(static_cast<std::size_t>(axes > 0 ? axes : 0));
  if (!extents.empty()) H5Sget_simple_extent_dims(space, extents.data(), nullptr);
  std::vector<std::int64_t> shape;
  for (const hsize_t extent : extents)
    shape.push_back(extent > static_cast<hsize_t>(kMostElements) ? kMostElements + 1
                                                                 : static_cast<std::int64_t>(extent));
  return shape;
}

}  // namespace

Hdf5File::Hdf5File(const fs::path& path) : path_(canonical_path(path)) {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  require(H5Lunregister(H5L_TYPE_EXTERNAL), path.string() + ": external links cannot be switched off");
  file_ = open_file(path);
}

hid_t Hdf5File::open_file(const fs::path& path) {
  const std::string name = path.string();
  const OpenFile plain{::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (plain.descriptor < 0)
    throw InputError(name + ": cannot be read (" + std::generic_category().message(errno) +
                     "): check the path and its permissions");
  if (!has_signature(plain.descriptor)) throw InputError(name + ": no HDF5 file: check the path");
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  if (!lockable(plain.descriptor, name, remarks_)) H5Pset_file_locking(access, false, true);
  const hid_t file = H5Fopen(name.c_str(), H5F_ACC_RDONLY, access);
  if (file < 0) refuse_damaged(name, library_text());
  return file;
}

bool Hdf5File::exists(const std::string& dataset) const {
  const htri_t found = H5Lexists(file_, dataset.c_str(), H5P_DEFAULT);
  if (found < 0)
    throw InputError(path_.string() + ":" + dataset +
                     ": damaged: it cannot be looked up in the file: write the file again");
  return found > 0;
}

hid_t Hdf5File::open_dataset(hid_t file, const std::string& dataset, const std::string& name) const {
  const hid_t id = H5Dopen2(file, dataset.c_str(), H5P_DEFAULT);
  if (id >= 0) return id;
  if (behind_external_link(file, dataset))
    throw InputError(name + ": an external link leads to another file, and is not followed: name that file");
  H5O_info_t info;
  const bool known = read_info(file, dataset, info);
  if (known ? info.type == H5O_TYPE_DATASET : H5Oexists_by_name(file, dataset.c_str(), H5P_DEFAULT) > 0)
    throw InputError(name + ": a damaged dataset, or " + newer_version());
  throw InputError(name + ": no such dataset in the file: h5ls -r lists them");
}

hid_t Hdf5File::open_source(const std::string& file, const std::string& name) {
  const fs::path folder = path_.parent_path();
  const fs::path source = canonical_path(folder / file);
  if (!is_inside(source.parent_path(), folder))
    throw InputError(name + ": a virtual dataset with a part in " + file +
                     ", but only files beside its own are read: put that file into " + folder.string());
  std::error_code error;
  if (fs::status(source, error).type() == fs::file_type::not_found)
    throw InputError(name + ": a virtual dataset whose part " + source.string() +
                     " is missing: bring that file back");
  const auto known = sources_.find(source.string());
  if (known != sources_.end()) return known->second;
  return sources_[source.string()] = open_file(source);
}

bool Hdf5File::is_source(hid_t file, const std::string& source, const std::string& dataset,
                         bool file_blocks) {
  std::error_code error;
  // A name that leads nowhere is a damaged source, and not the end of the blocks.
  if (file_blocks)
    return fs::symlink_status(path_.parent_path() / source, error).type() != fs::file_type::not_found;
  const hid_t of_source = source == "." ? file : open_source(source, source);
  return H5Lexists(of_source, dataset.c_str(), H5P_DEFAULT) > 0;
}

void Hdf5File::require_last_block(hid_t file, const VirtualNames& names, std::size_t block,
                                  const std::string& name) {
  const bool of_files = has_blocks(names.file);
  const std::string source = expanded(names.file, block), dataset = expanded(names.dataset, block);
  const auto later =
      of_files ? later_file(path_.parent_path(), names.file, block)
               : later_dataset(source == "." ? file : open_source(source, name), names.dataset, block);
  if (!later) return;
  const std::string missing = of_files ? (path_.parent_path() / source).string() : source + ":" + dataset;
  const std::string there = expanded(of_files ? names.file : names.dataset, *later);
  throw InputError(name + ": a virtual dataset whose part " + missing + " is missing, though " + there +
                   " is there: bring that " + (of_files ? "file" : "dataset") + " back");
}

std::int64_t Hdf5File::check_sources(hid_t file, hid_t creation, const std::string& name, int depth) {
  std::size_t count = 0;
  const auto too_many = [&] {
    return InputError(name + ": a virtual dataset of too many parts: write its numbers into one dataset");
  };
  if (H5Pget_virtual_count(creation, &count) < 0 || count > kSources || depth >= kDeepest) throw too_many();
  std::set<std::pair<std::string, std::string>> seen;
  std::int64_t stored = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const VirtualNames names{virtual_file(creation, i), virtual_dataset(creation, i)};
    const bool file_blocks = has_blocks(names.file), blocks = file_blocks || has_blocks(names.dataset);
    std::size_t block = 0;
    // As the library does, blocks are counted up to the first that is not there.
    for (; block == 0 || (blocks && is_source(file, expanded(names.file, block),
                                              expanded(names.dataset, block), file_blocks));
         ++block) {
      const std::string source = expanded(names.file, block), dataset = expanded(names.dataset, block);
      if (!seen.emplace(source, dataset).second) continue;
      if (seen.size() > kSources) throw too_many();
      const hid_t of_source = source == "." ? file : open_source(source, name);
      const std::string part = name + ": its part " + source + ":" + dataset;
      stored += check_storage(of_source, open_dataset(of_source, dataset, part), part, depth + 1);
    }
    if (blocks) require_last_block(file, names, block, name);
  }
  return stored;
}

std::int64_t Hdf5File::check_storage(hid_t file, hid_t dataset, const std::string& name, int depth) {
  const hid_t creation =
      require(H5Dget_create_plist(dataset), name + ": its layout cannot be read: fetch the file again");
  if (H5Pget_external_count(creation) != 0)
    throw InputError(name +
                     ": its numbers are in another file (external storage), which is not read: write "
                     "them into one file");
  if (H5Pget_layout(creation) == H5D_VIRTUAL) {
    const std::int64_t stored = check_sources(file, creation, name, depth);
    if (has_unmapped(creation, dataset))
      remarks_.push_back(name +
                         ": a virtual dataset, and some of its numbers come from no source: they are "
                         "the fill value");
    return stored;
  }
  H5D_space_status_t status = H5D_SPACE_STATUS_ERROR;
  if (H5Dget_space_status(dataset, &status) >= 0 && status == H5D_SPACE_STATUS_NOT_ALLOCATED)
    remarks_.push_back(name + ": was never written: all of its numbers are the fill value");
  return static_cast<std::int64_t>(H5Dget_storage_size(dataset));
}

Hdf5File::Opened Hdf5File::open(const std::string& dataset) {
  Opened opened;
  opened.name = path_.string() + ":" + dataset;
  const std::string& name = opened.name;
  const hid_t id = opened.id = open_dataset(file_, dataset, name);
  const hid_t type = require(H5Dget_type(id), name + ": its type cannot be read: fetch the file again");
  const H5T_class_t kind = H5Tget_class(type);
  const std::size_t size = H5Tget_size(type);
  if ((kind != H5T_INTEGER && kind != H5T_FLOAT) || size > 8)
    throw InputError(name +
                     ": elements are neither integers nor floats of up to 8 bytes: convert the dataset");
  const std::int64_t stored = check_storage(file_, id, name, 0);  // before anything of its sources is opened
  opened.shape = shape_of(id, name);
  const std::int64_t elements = count_elements(opened.shape, name);
  if (elements > kMostUnwritten && elements * static_cast<std::int64_t>(size) / kMaxCompression > stored)
    throw InputError(name + ": announces " + std::to_string(elements) + " elements, the file holds " +
                     std::to_string(stored) + " bytes of them: write the dataset again");
  opened.bytes = kind == H5T_INTEGER && size == 1 && H5Tget_sign(type) == H5T_SGN_NONE;
  return opened;
}

Array Hdf5File::read_selected(const Opened& opened, std::vector<std::int64_t> shape, hid_t memory,
                              hid_t space) {
  Array array;
  const auto elements = static_cast<std::size_t>(count_elements(shape, opened.name));
  array.shape = std::move(shape);
  herr_t status = 0;
  if (opened.bytes) {
    array.bytes.resize(elements);
    status = H5Dread(opened.id, H5T_NATIVE_UINT8, memory, space, H5P_DEFAULT, array.bytes.data());
  } else {
    array.numbers.resize(elements);
    status = H5Dread(opened.id, H5T_NATIVE_DOUBLE, memory, space, H5P_DEFAULT, array.numbers.data());
  }
  if (status < 0)
    throw InputError(opened.name + ": damaged, or packed by a filter that is not here: write it again");
  return array;
}

Array Hdf5File::read(const std::string& dataset) {
  const Opened opened = open(dataset);
  return read_selected(opened, opened.shape, H5S_ALL, H5S_ALL);
}

Hdf5Shape Hdf5File::shape(const std::string& dataset) {
  const Opened opened = open(dataset);
  Hdf5Shape shape{opened.shape, opened.bytes, 1};
  const hid_t creation = H5Dget_create_plist(opened.id);
  std::vector<hsize_t> chunk(shape.extents.size());
  if (H5Pget_layout(creation) == H5D_CHUNKED &&
      H5Pget_chunk(creation, static_cast<int>(chunk.size()), chunk.data()) > 0)
    shape.chunk_rows = static_cast<std::int64_t>(
        std::min<hsize_t>(chunk.front(), static_cast<hsize_t>(shape.extents.front())));
  return shape;
}

Array Hdf5File::read_rows(const std::string& dataset, std::int64_t first, std::int64_t count) {
  const Opened opened = open(dataset);
  if (first < 0 || count < 1 || first > opened.shape.front() - count)
    throw InputError(opened.name + ": has " + std::to_string(opened.shape.front()) +
                     " rows, fewer than before: something writes to it: wait for that program's end");
  std::vector<hsize_t> begin(opened.shape.size(), 0), extent(opened.shape.begin(), opened.shape.end());
  begin.front() = static_cast<hsize_t>(first);
  extent.front() = static_cast<hsize_t>(count);
  auto shape = opened.shape;
  shape.front() = count;
  const hid_t space = require(H5Dget_space(opened.id), opened.name + ": its shape cannot be read");
  const hid_t memory = H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr);
  H5Sselect_hyperslab(space, H5S_SELECT_SET, begin.data(), nullptr, extent.data(), nullptr);
  return read_selected(opened, std::move(shape), memory, space);
}

}  // namespace outerloop::data
