#include "common/data/sources.h"

#include <algorithm>
#include <cmath>

#include "common/base/error.h"
#include "common/base/sha256.h"
#include "common/data/array.h"
#include "common/data/cache.h"
#include "common/data/cifar.h"
#include "common/data/composites.h"
#include "common/data/crops.h"
#include "common/data/csv_dataset.h"
#include "common/data/dataset.h"
#include "common/data/fonts.h"
#include "common/data/glyphs.h"
#include "common/data/hdf5_array.h"
#include "common/data/image.h"
#include "common/data/listing.h"
#include "common/data/mnist.h"
#include "common/data/npy.h"
#include "common/data/path_variables.h"
#include "common/data/picture_folder.h"
#include "common/data/resize.h"
#include "common/data/reviews.h"
#include "common/data/scaling.h"
#include "common/data/source_files.h"
#include "common/data/tables.h"
#include "common/data/text_folder.h"
#include "common/data/two_moons.h"
#include "common/data/words.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t kMaxPixels = std::int64_t{1} << 34;
constexpr char kManualsFolder[] = "manuals";  // where scripts/manuals stores them below the cache folder

Source find_glyphs(const DatasetRequest&, const fs::path& folder) {
  Source source;
  const std::vector<FontFace> faces = find_fonts(folder, &source.remarks);
  const std::string where = folder.empty() ? "that fontconfig knows" : "in " + folder.string();
  if (faces.empty())
    throw InputError("glyphs: no .ttf or .otf fonts " + where +
                     ": apt-get install fonts-dejavu-core fonts-liberation, or give a folder of fonts");
  source.recipe = glyphs_recipe();
  for (const FontFace& face : faces) {
    source.recipe += " " + std::to_string(face.index);
    source.files.push_back(face.file);
  }
  source.keep_made = source.keep_resized = true;
  source.side = kWorkingSide;
  source.make = [faces, where] {
    WorkingSet set = render_glyphs(faces);
    if (set.labels.empty())
      throw InputError(
          "glyphs: none of the " + std::to_string(faces.size()) + " font faces " + where +
          " draws Latin, Greek or Cyrillic text: apt-get install fonts-dejavu-core fonts-liberation");
    return set;
  };
  return source;
}

/// Sets files and remarks: the pictures below `folder`, for crops and for folder.
void find_pictures(const DatasetRequest& request, const fs::path& folder, bool classes, Source& source) {
  const DatasetKind& kind = dataset_kind(request.name);
  const std::string name = kind.name;
  std::error_code error;
  if (!fs::is_directory(folder, error))
    throw InputError(name + ": no folder " + folder.string() + ": " + kind.remedy);
  Listing listing = list_tree(folder, picture_extensions());
  if (listing.files.empty()) {
    const std::string others = other_formats(listing);
    const std::string unreadable =
        listing.unreadable.empty() ? "" : "; unreadable: " + listing.unreadable.front();
    throw InputError(name + ": no .jpg, .png or .webp pictures in " + folder.string() +
                     (others.empty() ? "" : " (other files: " + others + ")") + unreadable + ": " +
                     kind.remedy);
  }
  // Report other files only for the user's own folders, not for those of Debian's packages.
  if (request.path.empty()) listing.others.clear();
  source.remarks = listing_remarks(listing, folder, name, kPictureFormats, classes);
  source.files = std::move(listing.files);
}

Source find_crops(const DatasetRequest& request, const fs::path& folder) {
  Source source;
  source.recipe = crops_recipe();
  find_pictures(request, folder, false, source);
  source.keep_made = source.keep_resized = true;
  source.side = kWorkingSide;
  source.make = [folder, files = source.files] {
    WorkingSet set = crop_pictures(folder, files);
    if (set.labels.empty())
      throw InputError("crops: each of the " + std::to_string(files.size()) + " pictures in " +
                       folder.string() +
                       " is damaged, nearly flat or smaller than 56 pixels: " + dataset_kind("crops").remedy);
    return set;
  };
  return source;
}

/// The fonts and photographs that glyphs and crops read by default.
Source find_composites(const DatasetRequest& request, const fs::path&) {
  const Source glyphs = find_glyphs(request, {});
  DatasetRequest photographs = request;
  photographs.name = "crops";
  const Source crops = find_crops(photographs, canonical_path(kBackgroundsFolder));
  Source source;
  source.recipe = composites_recipe() + ", " + glyphs.recipe + ", " + crops.recipe;
  source.files = glyphs.files;
  source.files.insert(source.files.end(), crops.files.begin(), crops.files.end());
  source.remarks = glyphs.remarks;
  source.remarks.insert(source.remarks.end(), crops.remarks.begin(), crops.remarks.end());
  source.keep_made = source.keep_resized = true;
  source.side = kWorkingSide;
  source.make = [make_glyphs = glyphs.make, make_crops = crops.make] {
    return compose(make_glyphs(), make_crops());
  };
  return source;
}

Source find_folder(const DatasetRequest& request, const fs::path& folder) {
  Source source;
  source.side = std::max(kFolderSide, request.size);
  source.recipe = picture_recipe() + ", middle squares";
  find_pictures(request, folder, true, source);
  source.keep_made = source.keep_resized = true;
  source.make = [folder, files = source.files, side = source.side] {
    return read_picture_folder(folder, files, side);
  };
  return source;
}

Source find_imdb(const DatasetRequest& request, const fs::path& folder) {
  Source source;
  source.recipe = words_recipe();
  const std::vector<fs::path> wanted = imdb_files(folder, request.part);
  // The vocabulary comes from the training part, whichever part is requested.
  const std::vector<fs::path> training = imdb_files(folder, Part::train);
  source.files = training;
  source.files.insert(source.files.end(), wanted.begin(), wanted.end());
  source.keep_made = true;
  source.make = [folder, wanted, training] {
    return text_set(read_imdb(wanted), read_imdb(training), "imdb: " + folder.string());
  };
  return source;
}

Source find_reviews(const DatasetRequest&, const fs::path& file) {
  Source source;
  source.recipe = words_recipe();
  source.files = {file};
  source.keep_made = true;
  source.make = [file] {
    const Texts texts = read_reviews(file);
    return text_set(texts, texts, file.string());
  };
  return source;
}

Source find_texts(const DatasetRequest& request, const fs::path& folder) {
  const std::string remedy = dataset_kind("texts").remedy;
  std::error_code error;
  if (!fs::is_directory(folder, error))
    throw InputError("texts: no folder " + folder.string() + ": " + remedy);
  Source source;
  Listing listing = list_tree(folder, {});
  for (fs::path& file : listing.files)
    if (!folder_below(folder, file).empty()) source.files.push_back(std::move(file));
  if (source.files.empty())
    throw InputError("texts: no files in " + folder.string() + "/CLASS/**: " + remedy);
  source.remarks = listing_remarks(listing, folder, "texts", "files", false);
  source.recipe = words_recipe() + ", passages of " + std::to_string(request.words_per_example);
  source.keep_made = true;
  source.make = [folder, files = source.files, words = request.words_per_example] {
    return read_text_folder(folder, files, words);
  };
  return source;
}

Source find_npy(const DatasetRequest&, const fs::path& file) {
  Source source;
  source.files = {file};
  source.make = [file] {
    const fs::path labels = npy_labels_path(file);
    const bool labelled = is_present(labels);
    return array_set(read_npy(file), labelled ? std::optional<Array>(read_npy(labels)) : std::nullopt,
                     file.string());
  };
  return source;
}

Source find_hdf5(const DatasetRequest&, const fs::path& path) {
  const Hdf5Path parsed = parse_hdf5_path(path.string());
  Source source;
  source.files = {parsed.file};
  source.make = [parsed] {
    LabelledArray arrays = read_hdf5(parsed);
    WorkingSet set =
        array_set(std::move(arrays.x), arrays.labels, parsed.file.string() + ":" + parsed.dataset);
    set.remarks = std::move(arrays.remarks);
    return set;
  };
  return source;
}

Source find_csv(const DatasetRequest&, const fs::path& path) {
  const CsvPath parsed = parse_csv_path(path.string());
  Source source;
  source.files = {parsed.file};
  source.make = [parsed] { return read_csv_set(parsed); };
  return source;
}

Source find_cifar(const DatasetRequest& request, const fs::path& folder) {
  Source source;
  source.keep_resized = true;
  source.side = kCifarSide;
  source.files = cifar_files(folder, request.part);
  source.make = [files = source.files] { return read_cifar(files); };
  return source;
}

Source find_mnist(const DatasetRequest& request, const fs::path& folder) {
  Source source;
  source.keep_resized = true;
  source.files = mnist_files(request.name, folder, request.part);
  source.make = [name = request.name, files = source.files] { return read_mnist(name, files); };
  return source;
}

Source find_tables(const DatasetRequest&, const fs::path&) {
  Source source;
  source.make = make_tables;
  return source;
}

Source find_two_moons(const DatasetRequest& request, const fs::path&) {
  Source source;
  source.make = [part = request.part] { return make_two_moons(part); };
  return source;
}

/// The canonical name of the source that `path` leads to.
fs::path canonical_source(Reads reads, const std::string& path) {
  std::error_code error;
  if (reads == Reads::part_of_file) {
    const Hdf5Path parsed = parse_hdf5_path(path);
    return canonical_path(parsed.file).string() + ":" + parsed.dataset;
  }
  if (reads == Reads::table) {
    const CsvPath parsed = parse_csv_path(path);
    return canonical_path(parsed.file).string() + (parsed.column.empty() ? "" : ":" + parsed.column);
  }
  if (reads == Reads::file_or_folder && fs::is_directory(path, error))
    return canonical_path(fs::path(path) / "x.npy");
  return canonical_path(path);
}

/// The default path of a dataset that has one.
std::string default_path(const DatasetKind& kind) {
  const fs::path path = kind.default_path;
  if (path.empty() || path.is_absolute()) return path.string();
  const fs::path cache = default_cache_directory();
  if (cache.empty())
    throw InputError(std::string(kind.name) +
                     ": none of OUTERLOOP_CACHE_DIR, XDG_CACHE_HOME and HOME is set: " + kind.remedy);
  return (cache / path).string();
}

base::Digest cache_key(const Source& source, std::int64_t side) {
  base::Sha256 key;
  key.update_text(source.recipe);
  key.update_number(static_cast<std::uint64_t>(side));
  for (const fs::path& file : source.files) key.update_text(file_stamp(file));
  return key.finish();
}

WorkingSet resized(const WorkingSet& set, const DatasetRequest& request) {
  const std::int64_t size = request.size;
  if (set.examples() > std::min<std::int64_t>(kMaxPixels / (size * size), INT32_MAX))
    throw InputError("dataset " + request.name + ": " + std::to_string(set.examples()) + " examples of " +
                     std::to_string(size) + " x " + std::to_string(size) +
                     " pixels do not fit in memory: take a smaller size");
  WorkingSet small;
  small.side = size;
  small.class_names = set.class_names;
  small.labels = set.labels;
  small.scores = set.scores;
  small.ranges = set.ranges;
  small.remarks = set.remarks;
  small.complete = set.complete;
  const auto from = static_cast<std::size_t>(set.numbers());
  const auto to = static_cast<std::size_t>(size * size);
  small.pixels.resize(set.labels.size() * to);
  AreaResize resize(size, size);
  for (std::size_t i = 0; i < set.labels.size(); ++i)
    resize({set.pixels.data() + i * from, set.side, set.side, set.side}, small.pixels.data() + i * to);
  return small;
}

/// Sets the range of each class, from its examples at `next`.
template <class Number>
void set_ranges(const Number* next, WorkingSet& set) {
  set.ranges.assign(set.class_names.size(), {HUGE_VAL, -HUGE_VAL});
  for (const std::int32_t of_set : set.labels) {
    const auto label = static_cast<std::size_t>(of_set);
    const std::int64_t numbers = set.groups.empty()
                                     ? set.numbers()
                                     : set.groups[static_cast<std::size_t>(set.group_of_class[label])].inputs;
    const auto [low, high] = std::minmax_element(next, next + numbers);
    ValueRange& range = set.ranges[label];
    range = {std::min<double>(range.low, *low), std::max<double>(range.high, *high)};
    next += numbers;
  }
}

/// Adds ranges of pixels or raw numbers, if the reader did not set them.
WorkingSet with_ranges(WorkingSet set) {
  if (!set.ranges.empty()) return set;
  if (set.values.empty())
    set_ranges(set.pixels.data(), set);
  else
    set_ranges(set.values.data(), set);
  return set;
}

}  // namespace

const std::vector<DatasetKind>& dataset_kinds() {
  static const std::vector<const char*> glyphs_and_crops{"glyphs", "crops"};
  static const std::vector<DatasetKind> kinds{
      {"fashion_mnist", "garments", kFashionMnistFolder, "a folder in MNIST's layout",
       "apt-get install dataset-fashion-mnist, or give the folder that holds it", Reads::folder, "MNIST",
       true, find_mnist},
      {"mnist", "digits, or your own images", nullptr, "a folder in MNIST's layout",
       "give the folder that holds its four *-idx?-ubyte[.gz] files", Reads::folder, "MNIST", true,
       find_mnist},
      {"cifar10", "photographs of 10 things", nullptr, "the folder cifar-10-batches-bin",
       "give the folder that holds CIFAR-10's binary version, data_batch_1.bin and so on", Reads::folder,
       "CIFAR-10", true, find_cifar},
      {"glyphs", "letters of the fonts of this machine", "", "a folder of .ttf and .otf files",
       "apt-get install fonts-dejavu fonts-liberation fonts-freefont-ttf, or give a folder of fonts",
       Reads::tree, "fonts", false, find_glyphs, Domain::images, true},
      {"crops", "crops of photographs, a class = a picture", kBackgroundsFolder, "a folder of pictures",
       "apt-get install mate-backgrounds gnome-backgrounds, or give a folder of photographs", Reads::tree,
       "pictures", false, find_crops},
      {"composites", "shapes of letters, filled with photographs, before others", nullptr,
       "nothing: the defaults of glyphs and crops", "apt-get install what glyphs and crops need",
       Reads::nothing, "", false, find_composites, Domain::images, false, false, glyphs_and_crops},
      {"folder", "pictures in a folder per class", nullptr, "a folder of folders of pictures",
       "give a folder that holds CLASS/*.jpg, *.png or *.webp", Reads::tree, "pictures", false, find_folder},
      {"imdb", "film reviews as bags of words", nullptr, "the folder aclImdb",
       "give the folder aclImdb, which holds train/pos, train/neg, test/pos and test/neg", Reads::tree,
       "texts", true, find_imdb, Domain::texts, false, true},
      {"reviews", "scored texts as bags of words", nullptr, "a file of score, tab, text",
       "give a file with score, tab and text in every line", Reads::file, "table of texts", false,
       find_reviews, Domain::texts, false, true},
      {"texts", "passages of texts as bags of words", kManualsFolder, "a folder of folders of text files",
       "run scripts/manuals, which fetches Debian's manual pages, or give a folder that holds CLASS/**",
       Reads::tree, "texts", false, find_texts, Domain::texts, false, true},
      {"tables", "random mixtures with columns of many kinds", nullptr, "nothing: it is computed",
       "it needs nothing", Reads::nothing, "", false, find_tables, Domain::tables},
      {"two_moons", "two half moons in the plane", nullptr, "nothing: it is computed", "it needs nothing",
       Reads::nothing, "", true, find_two_moons, Domain::tables},
      {"npy", "your own array", nullptr, "FILE.npy, its labels in FILE.labels.npy",
       "give FILE.npy, as numpy.save writes it", Reads::file_or_folder, "NPY", false, find_npy, std::nullopt},
      {"hdf5", "your own array", nullptr, "FILE.h5:/dataset, its labels in /dataset_labels",
       "give FILE.h5:/dataset", Reads::part_of_file, "HDF5", false, find_hdf5, std::nullopt},
      {"csv", "your own table", nullptr, "FILE.csv, or FILE.csv:COLUMN of its labels",
       "give FILE.csv, or FILE.csv:COLUMN", Reads::table, "CSV", false, find_csv, Domain::tables}};
  return kinds;
}

const DatasetKind& dataset_kind(const std::string& name) {
  std::string known;
  for (const DatasetKind& kind : dataset_kinds()) {
    if (name == kind.name) return kind;
    known += std::string(known.empty() ? "" : ", ") + kind.name;
  }
  throw InputError("dataset \"" + name + "\" is not known: take one of " + known);
}

fs::path source_path(const DatasetRequest& request) {
  const DatasetKind& kind = dataset_kind(request.name);
  if (request.path.empty() && kind.needs_path()) throw InputError(request.name + ": no path: " + kind.remedy);
  if (!request.path.empty() && kind.reads == Reads::nothing)
    throw InputError(request.name + ": path " + request.path + ": it is computed: leave it out");
  if (kind.reads == Reads::nothing) return {};
  const std::string path = request.path.empty() ? default_path(kind) : expand_variables(request.path);
  return path.empty() ? fs::path() : canonical_source(kind.reads, path);
}

Source find_source(const DatasetRequest& request) {
  const DatasetKind& kind = dataset_kind(request.name);
  const fs::path path = source_path(request);
  Source source = kind.find(request, path);
  source.cache_name = request.name + "-" + base::hex(base::stable_hash(path.string()));
  if (kind.parts && request.part != Part::all)
    source.cache_name += request.part == Part::train ? "-train" : "-test";
  return source;
}

WorkingSet read_source(const DatasetRequest& request, const std::string& cache_directory) {
  const Source source = find_source(request);
  std::vector<std::string> remarks = source.remarks;
  const auto keep = [&](std::int64_t side, const std::function<WorkingSet()>& make) {
    const std::string suffix = side > 0 ? "-" + std::to_string(side) : "";
    return cached(cache_directory, source.cache_name + suffix + ".cache", cache_key(source, side), make,
                  remarks);
  };
  const auto make = [&] { return with_ranges(source.make()); };
  const auto made = [&] { return source.keep_made ? keep(source.side, make) : make(); };
  const auto fitted = [&] {
    WorkingSet set = made();
    return set.side == 0 || set.side == request.size ? std::move(set) : resized(set, request);
  };
  WorkingSet set = source.keep_resized && !(source.keep_made && source.side == request.size)
                       ? keep(request.size, fitted)
                       : fitted();
  set.remarks.insert(set.remarks.begin(), remarks.begin(), remarks.end());
  return set;
}

WorkingSet open_source(const DatasetRequest& request, const std::string& cache_directory) {
  WorkingSet set = read_source(request, cache_directory);
  if (set.side > 0) return set;
  const auto fit = [&](const WorkingSet& training) {
    return fit_scalings(request.scaling, training, request.classes);
  };
  DatasetRequest training = request;
  training.part = Part::train;
  const bool other = dataset_kind(request.name).parts && request.part != Part::train;
  scale_vectors(other ? fit(read_source(training, cache_directory)) : fit(set), request.name, set);
  return set;
}

}  // namespace outerloop::data
