#pragma once
// Reader of CIFAR-10's binary version (Krizhevsky 2009): data_batch_1.bin .. data_batch_5.bin,
// test_batch.bin. A record is a label (0..9) and 32 × 32 pixels, all reds first, then greens, then blues.
#include <filesystem>
#include <string>
#include <vector>

#include "common/data/request.h"
#include "common/data/working_set.h"

namespace outerloop::data {

constexpr std::int64_t kCifarSide = 32;

/// Class names in label order.
std::vector<std::string> cifar_class_names();

/// The batches of `part` that `folder` holds, training first. Throws InputError that names the folder and the
/// files to provide if it holds none.
std::vector<std::filesystem::path> cifar_files(const std::filesystem::path& folder, Part part);

/// Appends the records of one file, in grey. Throws InputError that names it: missing, empty, not a whole
/// number of records (cut short), more than 10^6 records, an invalid label.
void append_cifar(const std::filesystem::path& file, WorkingSet& set);

/// Reads the files that cifar_files found.
WorkingSet read_cifar(const std::vector<std::filesystem::path>& files);

}  // namespace outerloop::data
