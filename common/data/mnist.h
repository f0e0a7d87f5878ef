#pragma once
// Reader of MNIST's published layout: train-images-idx3-ubyte, train-labels-idx1-ubyte,
// t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte in one folder, gzipped or not. Fashion-MNIST is published
// in the same files.
#include <filesystem>
#include <string>
#include <vector>

#include "common/data/request.h"
#include "common/data/working_set.h"

namespace outerloop::data {

/// The folder where Debian's dataset-fashion-mnist installs its files.
extern const char* const kFashionMnistFolder;

/// Class names in label order: digits for mnist, garments for fashion_mnist. Other data in mnist's layout may
/// have labels up to 255 (EMNIST's letters are 1 to 26); each label is a class named by its number.
std::vector<std::string> mnist_class_names(const std::string& dataset);

/// The files of `part` that `folder` holds, images then labels, train before test. Throws InputError that
/// names the missing file and how to provide it.
std::vector<std::filesystem::path> mnist_files(const std::string& dataset,
                                               const std::filesystem::path& folder, Part part);

/// Reads the files that mnist_files found. Throws InputError where images are not square (or differ in size
/// from those of the other part), a label is no class of fashion_mnist, or the numbers of labels and images
/// differ.
WorkingSet read_mnist(const std::string& dataset, const std::vector<std::filesystem::path>& files);

}  // namespace outerloop::data
