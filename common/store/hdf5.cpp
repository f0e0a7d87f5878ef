#include "common/store/hdf5.h"

#include <hdf5_hl.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/store/hdf5_handle.h"

namespace outerloop::store {
namespace {

constexpr int kDeepest = 8;  // nested groups; ours are four deep

Handle property_list(hid_t kind, const char* what) { return Handle(H5Pcreate(kind), H5Pclose, what); }

/// A file that exists only in memory.
Handle memory_access() {
  auto access = property_list(H5P_FILE_ACCESS, "file access");
  constexpr std::size_t kIncrement = 64 * 1024;
  check_hdf5(H5Pset_fapl_core(access, kIncrement, false), "memory driver");
  return access;
}

Handle text_type(std::size_t size) {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose, "text type");
  check_hdf5(H5Tset_size(type, size), "text length");
  check_hdf5(H5Tset_cset(type, H5T_CSET_UTF8), "UTF-8");
  check_hdf5(H5Tset_strpad(type, H5T_STR_NULLPAD), "text padding");
  return type;
}

Handle element_type(ElementType type, std::size_t text_size) {
  switch (type) {
    case ElementType::float32:
      return Handle(H5Tcopy(H5T_IEEE_F32LE), H5Tclose, "float32");
    case ElementType::float64:
      return Handle(H5Tcopy(H5T_IEEE_F64LE), H5Tclose, "float64");
    case ElementType::int64:
      return Handle(H5Tcopy(H5T_STD_I64LE), H5Tclose, "int64");
    case ElementType::uint64:
      return Handle(H5Tcopy(H5T_STD_U64LE), H5Tclose, "uint64");
    case ElementType::uint8:
      return Handle(H5Tcopy(H5T_STD_U8LE), H5Tclose, "uint8");
    case ElementType::text:
      break;
  }
  return text_type(text_size);
}

void write_attribute(hid_t owner, const std::string& name, const Attribute& value) {
  const auto* text = std::get_if<std::string>(&value);
  const auto* integer = std::get_if<std::int64_t>(&value);
  std::string padded = text != nullptr ? *text : "";
  if (padded.find('\0') != std::string::npos) throw Error("attribute " + name + ": a text with a NUL inside");
  if (padded.empty()) padded.push_back('\0');  // HDF5 has no strings of length 0
  const auto kind = text != nullptr      ? ElementType::text
                    : integer != nullptr ? ElementType::int64
                                         : ElementType::float64;
  const auto type = element_type(kind, padded.size());
  const void* bytes = text != nullptr      ? static_cast<const void*>(padded.data())
                      : integer != nullptr ? static_cast<const void*>(integer)
                                           : static_cast<const void*>(std::get_if<double>(&value));
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose, "scalar");
  const Handle attribute(H5Acreate2(owner, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose,
                         name);
  check_hdf5(H5Awrite(attribute, type, bytes), "attribute " + name);
}

void write_dataset(hid_t file, const std::string& path, const Dataset& dataset) {
  const auto type = element_type(dataset.type, dataset.bytes.size());
  const std::vector<hsize_t> extents(dataset.shape.begin(), dataset.shape.end());
  const Handle space(extents.empty()
                         ? H5Screate(H5S_SCALAR)
                         : H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr),
                     H5Sclose, "shape of " + path);
  const auto links = property_list(H5P_LINK_CREATE, "link properties");
  check_hdf5(H5Pset_create_intermediate_group(links, 1), "groups of " + path);
  check_hdf5(H5Pset_char_encoding(links, H5T_CSET_UTF8), "UTF-8 names");
  const auto creation = property_list(H5P_DATASET_CREATE, "dataset properties");
  check_hdf5(H5Pset_obj_track_times(creation, false), "times of " + path);
  const Handle handle(H5Dcreate2(file, path.c_str(), type, space, links, creation, H5P_DEFAULT), H5Dclose,
                      path);
  if (!dataset.bytes.empty())
    check_hdf5(H5Dwrite(handle, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, dataset.bytes.data()),
               "write of " + path);
  for (const auto& [name, value] : dataset.attributes) write_attribute(handle, name, value);
}

/// The names in the attribute `axes`, if there is one for each axis; else none.
std::vector<std::string> axis_names(const Dataset& dataset) {
  const auto found = dataset.attributes.find("axes");
  const auto* text = found == dataset.attributes.end() ? nullptr : std::get_if<std::string>(&found->second);
  const auto names = base::split_at_commas(text == nullptr ? "" : *text);
  const bool usable = names.size() == dataset.shape.size() &&
                      std::none_of(names.begin(), names.end(), [](const auto& name) { return name.empty(); });
  return usable ? names : std::vector<std::string>();
}

/// Names the axes of a dataset, for h5py and other readers. Each axis gets a label and, as its dimension
/// scale, the one-dimensional dataset of the same group with the axis's name and length, if there is one.
void write_axes(hid_t file, const Document& document, const std::string& path, const Dataset& dataset) {
  const auto names = axis_names(dataset);
  if (names.empty()) return;
  const std::string group = path.substr(0, path.rfind('/') + 1);
  const Handle handle(H5Dopen2(file, path.c_str(), H5P_DEFAULT), H5Dclose, path);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto axis = static_cast<unsigned>(i);
    const auto scale = document.datasets.find(group + names[i]);
    const bool fits = scale != document.datasets.end() &&
                      scale->second.shape == std::vector{dataset.shape[i]} &&
                      axis_names(scale->second) == std::vector{names[i]};
    if (fits && scale->first == path) {
      check_hdf5(H5DSset_scale(handle, names[i].c_str()), "scale " + path);
      continue;
    }
    check_hdf5(H5DSset_label(handle, axis, names[i].c_str()), "axes of " + path);
    if (!fits) continue;
    const Handle other(H5Dopen2(file, scale->first.c_str(), H5P_DEFAULT), H5Dclose, scale->first);
    check_hdf5(H5DSattach_scale(handle, other, axis), "scale of " + path);
  }
}

/// The library's attributes for them are derived from `axes` and ignored by the reader.
bool tells_axes(const std::string& attribute) {
  for (const char* name : {"CLASS", "NAME", "DIMENSION_LABELS", "DIMENSION_LIST", "REFERENCE_LIST"})
    if (attribute == name) return true;
  return false;
}

/// The file's bytes, after room for the user block. The library's image omits the block (1.10, 1.14),
/// although its addresses count from the block's end; if a version includes it, the signature shows that.
std::vector<std::uint8_t> image_of(hid_t file) {
  check_hdf5(H5Fflush(file, H5F_SCOPE_LOCAL), "flush");
  const ssize_t size = H5Fget_file_image(file, nullptr, 0);
  if (size <= 0) fail_hdf5("size of the file");
  std::vector<std::uint8_t> image(kUserBlock + static_cast<std::size_t>(size));
  if (H5Fget_file_image(file, image.data() + kUserBlock, static_cast<std::size_t>(size)) != size)
    fail_hdf5("file image");
  constexpr unsigned char kSignature[] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
  const auto signed_at = [&](std::size_t place) {
    return place + sizeof kSignature <= image.size() &&
           std::memcmp(image.data() + place, kSignature, sizeof kSignature) == 0;
  };
  if (signed_at(kUserBlock)) return image;
  OUTERLOOP_CHECK(signed_at(2 * kUserBlock), "the HDF5 library made a file image without its signature");
  image.erase(image.begin(), image.begin() + kUserBlock);
  return image;
}

/// The element type, if it is one that we write; throws for any other.
ElementType known_type(hid_t type, const std::string& path) {
  const std::pair<ElementType, hid_t> plain[] = {{ElementType::float32, H5T_IEEE_F32LE},
                                                 {ElementType::float64, H5T_IEEE_F64LE},
                                                 {ElementType::int64, H5T_STD_I64LE},
                                                 {ElementType::uint64, H5T_STD_U64LE},
                                                 {ElementType::uint8, H5T_STD_U8LE}};
  for (const auto& [kind, id] : plain)
    if (H5Tequal(type, id) > 0) return kind;
  if (H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0) return ElementType::text;
  throw Error(path + " has an element type that format version 1 does not know");
}

/// Bytes of `count` elements of `type`; throws if they cannot be inside a file of `limit` bytes.
std::size_t bounded_bytes(const std::vector<hsize_t>& extents, std::size_t element, std::size_t limit,
                          const std::string& path) {
  if (element == 0) fail_hdf5("element size of " + path);
  std::size_t bytes = element;
  for (const auto extent : extents) {
    if (extent != 0 && bytes > limit / extent) throw Error(path + " claims to be larger than its file");
    bytes *= extent;
  }
  if (bytes > limit) throw Error(path + " claims to be larger than its file");
  return bytes;
}

std::vector<hsize_t> extents_of(hid_t space, const std::string& path) {
  const H5S_class_t kind = H5Sget_simple_extent_type(space);
  if (kind == H5S_SCALAR) return {};
  const int rank = kind == H5S_SIMPLE ? H5Sget_simple_extent_ndims(space) : -1;
  if (rank < 1) throw Error(path + " has no plain shape");
  std::vector<hsize_t> extents(static_cast<std::size_t>(rank));
  if (H5Sget_simple_extent_dims(space, extents.data(), nullptr) < 0) fail_hdf5("shape of " + path);
  return extents;
}

Attribute read_attribute(hid_t attribute, const std::string& name, std::size_t limit) {
  const Handle space(H5Aget_space(attribute), H5Sclose, name);
  const Handle type(H5Aget_type(attribute), H5Tclose, name);
  const auto kind = known_type(type, "attribute " + name);
  if (!extents_of(space, "attribute " + name).empty()) throw Error("attribute " + name + " is no scalar");
  std::string bytes(bounded_bytes({}, H5Tget_size(type), limit, "attribute " + name), '\0');
  check_hdf5(H5Aread(attribute, type, bytes.data()), "attribute " + name);
  if (kind == ElementType::text) return bytes.substr(0, bytes.find_last_not_of('\0') + 1);
  if (kind == ElementType::int64) {
    std::int64_t value;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  if (kind != ElementType::float64) throw Error("attribute " + name + " has an element type of no attribute");
  double value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

Attributes read_attributes(hid_t owner, std::size_t limit) {
  Attributes attributes;
  const int count = H5Aget_num_attrs(owner);
  if (count < 0) fail_hdf5("attributes");
  for (int i = 0; i < count; ++i) {
    const Handle attribute(H5Aopen_by_idx(owner, ".", H5_INDEX_NAME, H5_ITER_INC, static_cast<hsize_t>(i),
                                          H5P_DEFAULT, H5P_DEFAULT),
                           H5Aclose, "attribute");
    std::vector<char> name(
        static_cast<std::size_t>(std::max<ssize_t>(0, H5Aget_name(attribute, 0, nullptr))) + 1);
    if (H5Aget_name(attribute, name.size(), name.data()) < 0) fail_hdf5("attribute name");
    if (!tells_axes(name.data())) attributes[name.data()] = read_attribute(attribute, name.data(), limit);
  }
  return attributes;
}

/// Rejects everything that could refer outside the file or expand beyond its size.
void check_plain_storage(hid_t dataset, const std::string& path) {
  const Handle creation(H5Dget_create_plist(dataset), H5Pclose, path);
  const auto layout = H5Pget_layout(creation);
  if ((layout != H5D_CONTIGUOUS && layout != H5D_COMPACT) || H5Pget_external_count(creation) != 0 ||
      H5Pget_nfilters(creation) != 0)
    throw Error(path + " is stored in a way that format version 1 does not know");
}

Dataset read_dataset(hid_t handle, const std::string& path, std::size_t limit) {
  check_plain_storage(handle, path);
  const Handle type(H5Dget_type(handle), H5Tclose, path);
  const Handle space(H5Dget_space(handle), H5Sclose, path);
  const auto extents = extents_of(space, path);
  Dataset dataset;
  dataset.type = known_type(type, path);
  dataset.shape.assign(extents.begin(), extents.end());
  if (dataset.type == ElementType::text && !extents.empty()) throw Error(path + " is an array of texts");
  dataset.bytes.resize(bounded_bytes(extents, H5Tget_size(type), limit, path));
  if (!dataset.bytes.empty())
    check_hdf5(H5Dread(handle, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, dataset.bytes.data()), "read of " + path);
  dataset.attributes = read_attributes(handle, limit);
  return dataset;
}

std::string link_at(hid_t group, hsize_t index) {
  const auto name = [&](char* out, std::size_t size) {
    return H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, index, out, size, H5P_DEFAULT);
  };
  const ssize_t length = name(nullptr, 0);
  if (length < 0) fail_hdf5("name of a link");
  std::vector<char> text(static_cast<std::size_t>(length) + 1);
  if (name(text.data(), text.size()) < 0) fail_hdf5("name of a link");
  return text.data();
}

/// `budget`: bytes of the file not yet accounted for. Every link uses up some, so that several links to one
/// object, or a cycle of groups, cannot repeat it endlessly.
void read_group(hid_t group, const std::string& prefix, std::size_t& budget, int depth, Document& document) {
  constexpr std::size_t kLeastPerLink = 16;
  if (depth > kDeepest) throw Error(prefix + " is nested too deeply");
  H5G_info_t info;
  check_hdf5(H5Gget_info(group, &info), "group " + prefix);
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    const std::string link = link_at(group, i);
    const std::string path = prefix + link;
    if (budget < kLeastPerLink) throw Error(path + ": more links than the file has room for");
    budget -= kLeastPerLink;
    H5L_info_t kind;
    check_hdf5(H5Lget_info(group, link.c_str(), &kind, H5P_DEFAULT), path);
    if (kind.type != H5L_TYPE_HARD) throw Error(path + " is a link to elsewhere");
    const Handle object(H5Oopen(group, link.c_str(), H5P_DEFAULT), H5Oclose, path);
    const H5I_type_t type = H5Iget_type(object);
    if (type == H5I_GROUP)
      read_group(object, path + "/", budget, depth + 1, document);
    else if (type == H5I_DATASET)
      budget -= (document.datasets[path] = read_dataset(object, path, budget)).bytes.size();
    else
      throw Error(path + " is neither group nor dataset");
  }
}

}  // namespace

std::vector<std::uint8_t> encode_hdf5(const Document& document) {
  silence_hdf5();
  const auto access = memory_access();
  const auto creation = property_list(H5P_FILE_CREATE, "file creation");
  check_hdf5(H5Pset_userblock(creation, kUserBlock), "user block");
  check_hdf5(H5Pset_obj_track_times(creation, false), "times");
  const Handle file(H5Fcreate("in memory", H5F_ACC_TRUNC, creation, access), H5Fclose, "new file");
  const Handle root(H5Gopen2(file, "/", H5P_DEFAULT), H5Gclose, "root group");
  for (const auto& [name, value] : document.attributes) write_attribute(root, name, value);
  for (const auto& [path, dataset] : document.datasets) write_dataset(file, path, dataset);
  for (const auto& [path, dataset] : document.datasets) write_axes(file, document, path, dataset);
  return image_of(file);
}

Document decode_hdf5(const std::vector<std::uint8_t>& bytes) {
  silence_hdf5();
  const auto access = memory_access();
  // The library's signature allows it to write to the buffer, but it makes a copy.
  check_hdf5(H5Pset_file_image(access, const_cast<std::uint8_t*>(bytes.data()), bytes.size()), "file image");
  const Handle file(H5Fopen("in memory", H5F_ACC_RDONLY, access), H5Fclose, "the file");
  const Handle root(H5Gopen2(file, "/", H5P_DEFAULT), H5Gclose, "root group");
  Document document;
  document.attributes = read_attributes(root, bytes.size());
  std::size_t budget = bytes.size();
  read_group(root, "/", budget, 0, document);
  return document;
}

}  // namespace outerloop::store
