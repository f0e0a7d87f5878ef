#include "common/data/sources.h"

#include <algorithm>

#include "common/data/cache.h"
#include "common/data/crops.h"
#include "common/data/digest.h"
#include "common/data/fonts.h"
#include "common/data/glyphs.h"
#include "common/data/mnist.h"
#include "common/data/source_files.h"
#include "common/rule/error.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

/// One file per dataset and source; the key inside tells whether it is still what the source would give.
std::string cache_file(const std::string& dataset, const fs::path& folder) {
  return dataset + "-" + hex(stable_hash(folder.string())) + ".cache";
}

Digest cache_key(const std::string& recipe, const std::vector<fs::path>& files) {
  Sha256 key;
  key.update_text(recipe);
  for (const fs::path& file : files) key.update_text(file_stamp(file));
  return key.finish();
}

WorkingSet open_glyphs(const fs::path& folder, const std::string& cache_directory) {
  const std::vector<FontFace> faces = find_fonts(folder);
  const std::string where = folder.empty() ? "that fontconfig knows" : "in " + folder.string();
  if (faces.empty())
    throw InputError("glyphs: no .ttf or .otf fonts " + where +
                     ": apt-get install fonts-dejavu-core fonts-liberation, or give a folder of fonts");
  std::string recipe = glyphs_recipe();
  std::vector<fs::path> files;
  for (const FontFace& face : faces) {
    recipe += " " + std::to_string(face.index);
    files.push_back(face.file);
  }
  WorkingSet set = cached(cache_directory, cache_file("glyphs", folder), cache_key(recipe, files),
                          [&] { return render_glyphs(faces); });
  if (set.labels.empty())
    throw InputError(
        "glyphs: none of the " + std::to_string(faces.size()) + " font faces " + where +
        " draws Latin, Greek or Cyrillic text: apt-get install fonts-dejavu-core fonts-liberation");
  return set;
}

WorkingSet open_crops(const fs::path& folder, const std::string& cache_directory) {
  const std::string remedy =
      ": apt-get install mate-backgrounds gnome-backgrounds, or give a folder of photographs";
  std::error_code error;
  if (!fs::is_directory(folder, error)) throw InputError("crops: no folder " + folder.string() + remedy);
  const std::vector<fs::path> files = list_files(folder, picture_extensions());
  if (files.empty())
    throw InputError("crops: no .jpg, .png or .webp pictures in " + folder.string() + remedy);
  WorkingSet set = cached(cache_directory, cache_file("crops", folder), cache_key(crops_recipe(), files),
                          [&] { return crop_pictures(folder, files); });
  if (set.labels.empty())
    throw InputError("crops: each of the " + std::to_string(files.size()) + " pictures in " +
                     folder.string() + " is damaged, nearly flat or smaller than 56 pixels" + remedy);
  return set;
}

}  // namespace

const std::vector<std::string>& dataset_names() {
  static const std::vector<std::string> names{"fashion_mnist", "mnist", "glyphs", "crops"};
  return names;
}

fs::path source_folder(const DatasetRequest& request) {
  const std::vector<std::string>& names = dataset_names();
  if (std::find(names.begin(), names.end(), request.name) == names.end()) {
    std::string known;
    for (const std::string& name : names) known += (known.empty() ? "" : ", ") + name;
    throw InputError("dataset \"" + request.name + "\" is not known: take one of " + known);
  }
  if (!request.path.empty()) return canonical_path(request.path);
  if (request.name == "fashion_mnist") return canonical_path(kFashionMnistFolder);
  if (request.name == "crops") return canonical_path(kBackgroundsFolder);
  if (request.name == "glyphs") return {};
  throw InputError("mnist: no path: give the folder that holds its four *-idx?-ubyte[.gz] files");
}

WorkingSet open_source(const DatasetRequest& request, const std::string& cache_directory) {
  const fs::path folder = source_folder(request);
  if (request.name == "glyphs") return open_glyphs(folder, cache_directory);
  if (request.name == "crops") return open_crops(folder, cache_directory);
  return read_mnist(request.name, mnist_files(request.name, folder, request.part));
}

}  // namespace outerloop::data
