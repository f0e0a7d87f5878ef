// Evaluation data is never sampled in training; classes are split by their names.
#include <filesystem>

#include "common/base/error.h"
#include "common/data/class_split.h"
#include "common/data/overlap.h"
#include "common/data/sources.h"
#include "tests/catch.h"
#include "tests/data/files.h"

namespace outerloop::tests {
namespace {

using data::ClassSplit;
using data::DatasetRequest;
using data::Part;

bool overlaps(const DatasetRequest& training, const DatasetRequest& evaluation) {
  try {
    data::check_no_overlap({{"glyphs", "/usr/share/no-fonts-here", 14, {}, {}}, training}, {evaluation});
  } catch (const InputError& error) {
    const std::string message = error.what();
    CHECK(message.find(training.name) != std::string::npos);
    CHECK(message.find(evaluation.name) != std::string::npos);
    return true;
  }
  return false;
}

DatasetRequest request(const std::string& name, const std::string& path = "",
                       ClassSplit classes = ClassSplit::all, Part part = Part::all) {
  return {name, path, 14, classes, part};
}

TEST_CASE("one dataset in training and evaluation is refused, different ones are not") {
  CHECK(overlaps(request("fashion_mnist"), request("fashion_mnist")));
  CHECK(overlaps(request("crops"), request("crops")));
  CHECK(!overlaps(request("crops"), request("fashion_mnist")));
  CHECK(!overlaps(request("mnist", "/data/mnist"), request("fashion_mnist")));
  data::check_no_overlap({}, {request("crops")});
  data::check_no_overlap({request("crops")}, {});
}

TEST_CASE("another size or another part of one dataset is still the same dataset") {
  DatasetRequest large = request("crops");
  large.size = 28;
  CHECK(overlaps(request("crops"), large));
  CHECK(overlaps(request("fashion_mnist", "", ClassSplit::all, Part::train),
                 request("fashion_mnist", "", ClassSplit::all, Part::test)));
}

TEST_CASE("the class split keeps one dataset apart") {
  const auto train = [](const char* name, const char* path = "") {
    return request(name, path, ClassSplit::train);
  };
  const auto held_out = [](const char* name, const char* path = "") {
    return request(name, path, ClassSplit::held_out);
  };
  CHECK(!overlaps(train("crops"), held_out("crops")));
  CHECK(!overlaps(held_out("crops"), train("crops")));
  CHECK(overlaps(train("crops"), train("crops")));
  CHECK(overlaps(train("crops"), request("crops")));
  CHECK(!overlaps(train("glyphs"), held_out("glyphs", "/fonts")));  // characters have global names
  CHECK(overlaps(train("crops", "/photos"), held_out("crops", "/photos/sea")));
  CHECK(overlaps(train("mnist", "/data"), held_out("fashion_mnist", "/data")));
}

TEST_CASE("a class folder that is a link is part of the dataset that it leads to") {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "store/a");
  std::filesystem::create_directories(folder / "store/b");
  std::filesystem::create_directories(folder / "p");
  std::filesystem::create_directory_symlink("../store/a", folder / "p/a");
  CHECK(overlaps(request("folder", folder / "p"), request("folder", folder / "store")));
  CHECK(overlaps(request("crops", folder / "store/a"), request("folder", folder / "p")));
  CHECK(!overlaps(request("folder", folder / "p"), request("folder", folder / "store/b")));
}

TEST_CASE("one folder is one dataset, whatever it is called") {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "real");
  std::filesystem::create_directory_symlink(folder / "real", folder / "link");
  const std::string real = (folder / "real");
  CHECK(overlaps(request("mnist", real), request("fashion_mnist", real)));
  CHECK(overlaps(request("mnist", real), request("mnist", real + "/")));
  CHECK(overlaps(request("mnist", real), request("mnist", real + "/../real/.")));
  CHECK(overlaps(request("mnist", real), request("mnist", (folder / "link"))));
  CHECK(!overlaps(request("mnist", real), request("mnist", (folder / "other"))));
  CHECK(overlaps(request("fashion_mnist", "/usr/share/datasets/fashion-mnist"), request("fashion_mnist")));
  CHECK(overlaps(request("crops", real), request("crops", (folder / "real/inside"))));
  CHECK(!overlaps(request("crops", real), request("crops", (folder / "real2"))));
  CHECK(overlaps(request("glyphs"), request("glyphs", real)));  // fontconfig may list these fonts
  CHECK(!overlaps(request("glyphs", real), request("glyphs", (folder / "other"))));
  CHECK(!overlaps(request("glyphs", real), request("crops", real)));
  refusal([] { data::check_no_overlap({request("mnist")}, {request("crops")}); });
  refusal([] { data::check_no_overlap({request("crops")}, {request("nonsense")}); });
}

TEST_CASE("pictures, texts and arrays are one dataset where they share files") {
  const TemporaryFolder folder;
  const std::string data = (folder / "data");
  std::filesystem::create_directories(data);
  CHECK(overlaps(request("folder", data), request("crops", data)));
  CHECK(overlaps(request("folder", data), request("folder", (folder / "data/inside"))));
  CHECK(!overlaps(request("folder", data, ClassSplit::train), request("folder", data, ClassSplit::held_out)));
  CHECK(overlaps(request("cifar10", data), request("cifar10", data)));
  CHECK(overlaps(request("imdb", data), request("imdb", (folder / "data/test"))));
  CHECK(!overlaps(request("imdb", (folder / "data/train")), request("imdb", (folder / "data/test"))));
  CHECK(overlaps(request("npy", data), request("npy", (folder / "data/x.npy"))));
  CHECK(!overlaps(request("npy", (folder / "data/y.npy")), request("npy", (folder / "data/x.npy"))));
  CHECK(!overlaps(request("hdf5", data + "/a.h5:/x"), request("hdf5", data + "/a.h5:/y")));
  CHECK(overlaps(request("hdf5", data + "/a.h5:/x"), request("hdf5", data + "/../data/a.h5:/x")));
  CHECK(overlaps(request("two_moons"), request("two_moons")));
}

TEST_CASE("the columns of the table of datasets agree with one another") {
  for (const data::DatasetKind& kind : data::dataset_kinds()) {
    INFO(kind.name);
    const bool computed = kind.reads == data::Reads::nothing;
    CHECK(computed == std::string(kind.format).empty());
    CHECK((!computed || kind.default_path == nullptr));
    CHECK((kind.made_of.empty() || computed));
    for (const char* name : kind.made_of) CHECK(!data::dataset_kind(name).needs_path());
    const DatasetRequest here = request(kind.name, "", ClassSplit::train);
    if (kind.needs_path()) {
      holds(refusal([&] { data::source_path(here); }), kind.remedy);
      continue;
    }
    CHECK(overlaps(here, here));
    const auto given = [&] { return data::source_path(request(kind.name, "/somewhere")); };
    if (computed)
      holds(refusal(given), "it is computed: leave it out");
    else
      CHECK(given() == "/somewhere");
  }
  CHECK(!overlaps(request("composites"), request("two_moons")));
}

TEST_CASE("the class split holds out about a fifth, and never changes") {
  int held_out = 0;
  for (int i = 0; i < 5000; ++i) held_out += data::is_held_out("class " + std::to_string(i)) ? 1 : 0;
  CHECK(held_out > 900);
  CHECK(held_out < 1100);
  // Fixed values: checkpoints of existing runs rely on them.
  for (const char* name : {"mate/nature/aqua", "mate/nature/storm", "mate/abstract/silk", "gnome/pixels",
                           "T-shirt/top", "Dress", "Sneaker", "4", "7", "9"})
    CHECK(data::is_held_out(name));
  for (const char* name : {"Trouser", "Pullover", "Coat", "Sandal", "Shirt", "Bag", "Ankle boot", "0", "1",
                           "2", "3", "5", "6", "8"})
    CHECK(!data::is_held_out(name));
}

}  // namespace
}  // namespace outerloop::tests
