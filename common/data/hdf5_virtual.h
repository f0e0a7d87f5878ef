#pragma once
// Sources of a virtual HDF5 dataset: their names, the patterns of names, and the rows that none of them
// gives.
#include <hdf5.h>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>

namespace outerloop::data {

/// Name of the file of a virtual dataset's mapping `i`; a dot is the dataset's own file.
std::string virtual_file(hid_t creation, std::size_t i);
/// Name of the dataset of a virtual dataset's mapping `i`.
std::string virtual_dataset(hid_t creation, std::size_t i);

/// HDF5's patterns in these names: %b is the number of a block, %% a percent sign.
std::string expanded(const std::string& pattern, std::size_t block);
bool has_blocks(const std::string& pattern);

/// Number of a block after `block` whose file is below `folder`; nothing if there is none. `pattern` names
/// the files, and has blocks.
std::optional<std::size_t> later_file(const std::filesystem::path& folder, const std::string& pattern,
                                      std::size_t block);
/// The same for the datasets of a file.
std::optional<std::size_t> later_dataset(hid_t file, const std::string& pattern, std::size_t block);

/// True if the mappings leave out some elements of `dataset`, which have the fill value. Opens the sources.
bool has_unmapped(hid_t creation, hid_t dataset);

}  // namespace outerloop::data
