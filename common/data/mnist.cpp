#include "common/data/mnist.h"

#include <algorithm>

#include "common/base/error.h"
#include "common/data/idx.h"
#include "common/data/source_files.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

/// A hint for the error message if the folder cannot be read or holds IDX files of other names (EMNIST's are
/// emnist-letters-train-images-idx3-ubyte).
std::string other_name(const fs::path& folder) {
  std::error_code error;
  std::vector<std::string> names;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.find("-idx3-ubyte") != std::string::npos) names.push_back(name);
  }
  if (error && error != std::errc::no_such_file_or_directory && error != std::errc::not_a_directory)
    return " (the folder cannot be read: " + error.message() + ")";
  if (names.empty()) return "";
  return " (" + *std::min_element(names.begin(), names.end()) +
         " is there: files of other names need a link of this name each)";
}

/// "train-images" → the file's path. Some mirrors use a dot in place of the second hyphen.
fs::path find_file(const std::string& dataset, const fs::path& folder, const std::string& stem,
                   const std::string& axes) {
  std::error_code error;
  for (const char* separator : {"-", "."}) {
    for (const char* suffix : {"", ".gz"}) {
      const fs::path path = folder / (stem + separator + "idx" + axes + "-ubyte" + suffix);
      if (is_present(path) && !fs::is_directory(path, error)) return path;
    }
  }
  const std::string remedy = dataset == "fashion_mnist"
                                 ? "apt-get install dataset-fashion-mnist, or give the folder that holds it"
                                 : "put MNIST's four files there, or give the folder that holds them";
  throw InputError(dataset + ": no " + stem + "-idx" + axes + "-ubyte[.gz] in " + folder.string() +
                   other_name(folder) + ": " + remedy);
}

void append_part(const std::string& dataset, const fs::path& images_path, const fs::path& labels_path,
                 WorkingSet& set) {
  const Idx images = read_idx(images_path);
  const Idx labels = read_idx(labels_path);
  if (images.shape.size() != 3 || images.shape[1] != images.shape[2] || images.shape[1] > 1024)
    throw InputError(images_path.string() +
                     ": not a list of square images up to 1024 pixels wide: check the file");
  if (labels.shape.size() != 1)
    throw InputError(labels_path.string() + ": not a list of labels: check the file");
  if (labels.shape[0] != images.shape[0])
    throw InputError(labels_path.string() + ": " + std::to_string(labels.shape[0]) + " labels for the " +
                     std::to_string(images.shape[0]) + " images of " + images_path.string() +
                     ": fetch both files again");
  if (set.side != 0 && set.side != images.shape[1])
    throw InputError(images_path.string() + ": images are " + std::to_string(images.shape[1]) +
                     " pixels wide, those of the other part " + std::to_string(set.side) +
                     ": fetch both again");
  set.side = images.shape[1];
  for (const std::uint8_t label : labels.elements) {
    if (label >= set.class_names.size()) {
      if (dataset != "mnist")
        throw InputError(labels_path.string() + ": label " + std::to_string(label) + ", " + dataset +
                         " has 0 to " + std::to_string(set.class_names.size() - 1) +
                         ": fetch the file again, or read other data in its layout as mnist");
      while (label >= set.class_names.size())
        set.class_names.push_back(std::to_string(set.class_names.size()));
    }
    set.labels.push_back(label);
  }
  set.pixels.insert(set.pixels.end(), images.elements.begin(), images.elements.end());
}

}  // namespace

const char* const kFashionMnistFolder = "/usr/share/datasets/fashion-mnist";

std::vector<std::string> mnist_class_names(const std::string& dataset) {
  if (dataset == "fashion_mnist")
    return {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
            "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
  return {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
}

std::vector<fs::path> mnist_files(const std::string& dataset, const fs::path& folder, Part part) {
  std::vector<fs::path> files;
  for (const auto& [wanted, prefix] : {std::pair{Part::train, "train"}, std::pair{Part::test, "t10k"}}) {
    if (part != Part::all && part != wanted) continue;
    files.push_back(find_file(dataset, folder, std::string(prefix) + "-images", "3"));
    files.push_back(find_file(dataset, folder, std::string(prefix) + "-labels", "1"));
  }
  return files;
}

WorkingSet read_mnist(const std::string& dataset, const std::vector<fs::path>& files) {
  WorkingSet set;
  set.class_names = mnist_class_names(dataset);
  for (std::size_t i = 0; i + 1 < files.size(); i += 2) append_part(dataset, files[i], files[i + 1], set);
  return set;
}

}  // namespace outerloop::data
