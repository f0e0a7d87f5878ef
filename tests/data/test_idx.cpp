// IDX files, plain and gzipped, and the four files of MNIST's layout.
#include "common/data/dataset.h"
#include "common/data/idx.h"
#include "common/data/sources.h"
#include "tests/catch.h"
#include "tests/data/files.h"

namespace outerloop::tests {
namespace {

Bytes counting(std::size_t count, std::uint8_t modulus = 251) {
  Bytes bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::uint8_t>(i % modulus);
  return bytes;
}

/// MNIST's files with 30 training and 20 test images of 6 × 6.
void write_mnist(const std::filesystem::path& folder, bool gzipped) {
  const auto put = [&](const std::string& name, const Bytes& bytes) {
    write_file(folder / (name + (gzipped ? ".gz" : "")), gzipped ? gzip(bytes) : bytes);
  };
  put("train-images-idx3-ubyte", idx_bytes({30, 6, 6}, counting(30 * 36)));
  put("train-labels-idx1-ubyte", idx_bytes({30}, counting(30, 10)));
  put("t10k-images-idx3-ubyte", idx_bytes({20, 6, 6}, counting(20 * 36, 17)));
  put("t10k-labels-idx1-ubyte", idx_bytes({20}, counting(20, 10)));
}

TEST_CASE("IDX files are read plain and gzipped") {
  const TemporaryFolder folder;
  const Bytes elements = counting(3 * 4 * 5);
  const Bytes plain = idx_bytes({3, 4, 5}, elements);
  write_file(folder / "plain", plain);
  write_file(folder / "packed.gz", gzip(plain));
  for (const char* name : {"plain", "packed.gz"}) {
    const data::Idx idx = data::read_idx(folder / name);
    CHECK(idx.shape == std::vector<std::int64_t>{3, 4, 5});
    CHECK(idx.elements == elements);
  }
}

TEST_CASE("an IDX file cut at any byte is refused by name") {
  const TemporaryFolder folder;
  const Bytes plain = idx_bytes({3, 4, 5}, counting(60));
  for (const Bytes& whole : {plain, gzip(plain)}) {
    for (std::size_t length = 0; length < whole.size(); ++length) {
      INFO("cut to " << length << " of " << whole.size() << " bytes");
      write_file(folder / "cut", first_bytes(whole, length));
      holds(refusal([&] { data::read_idx(folder / "cut"); }), (folder / "cut") + ": ");
    }
  }
}

TEST_CASE("damaged, mislabelled and oversized IDX files are refused") {
  const TemporaryFolder folder;
  const auto message = [&](const Bytes& bytes) {
    write_file(folder / "file", bytes);
    return refusal([&] { data::read_idx(folder / "file"); });
  };
  const Bytes good = idx_bytes({3, 4, 5}, counting(60));
  const auto changed = [&](std::size_t at, std::uint8_t value) {
    Bytes bytes = good;
    bytes[at] = value;
    return bytes;
  };
  SECTION("magic") {
    holds(message(changed(0, 1)), "no IDX file");
    holds(message(changed(1, 1)), "no IDX file");
    holds(message(changed(2, 0x0D)), "element type 13");
    holds(message(changed(3, 0)), "0 axes");
    holds(message(changed(3, 9)), "9 axes");
  }
  SECTION("extents beyond the file, which must not be allocated") {
    holds(message(changed(4, 0x7F)), "cannot hold more than 60");
    holds(message(idx_bytes({0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}, {1})), "more than 2^40");
    holds(message(gzip(idx_bytes({4000, 1000, 1000}, counting(60)))), "cannot hold more than");
    holds(message(gzip(idx_bytes({4, 4, 5}, counting(60)))), "ends before the 80 bytes");
    holds(message(idx_bytes({3, 0, 5}, {})), "no examples");
  }
  SECTION("bytes left over") {
    Bytes longer = good;
    longer.push_back(0);
    holds(message(longer), "more bytes than the header announces");
    holds(message(gzip(longer)), "more bytes than the header announces");
  }
  SECTION("a flipped bit in gzip data") {
    const Bytes packed = gzip(idx_bytes({100, 10}, counting(1000)));
    for (std::size_t at = 12; at < packed.size(); at += 3) {
      INFO("byte " << at);
      Bytes bytes = packed;
      bytes[at] ^= 0x10;
      holds(message(bytes), (folder / "file"));
    }
  }
  SECTION("no file") {
    holds(refusal([&] { data::read_idx(folder / "none"); }), "no such file");
  }
}

TEST_CASE("MNIST's layout gives its parts, plain and gzipped") {
  for (const bool gzipped : {false, true}) {
    const TemporaryFolder folder;
    write_mnist(folder.path(), gzipped);
    data::DatasetRequest request{"mnist", folder.path().string(), 6, data::ClassSplit::all, data::Part::all};
    const auto all = data::open_dataset(request, "");
    CHECK(all->examples() == 50);
    CHECK(all->classes() == 10);
    CHECK(all->inputs == 36);
    CHECK(all->pixels[35] == 35);
    CHECK(all->pixels[30 * 36 + 18] == 1);  // the test part follows
    request.part = data::Part::train;
    const auto train = data::open_dataset(request, "");
    CHECK(train->examples() == 30);
    request.part = data::Part::test;
    const auto test = data::open_dataset(request, "");
    CHECK(test->examples() == 20);
    CHECK(test->sha256 != train->sha256);
    for (std::size_t c = 0; c < 10; ++c)
      for (const std::int32_t row : test->examples_of_class[c])
        CHECK(test->labels[static_cast<std::size_t>(row)] == static_cast<std::int32_t>(c));
  }
}

TEST_CASE("other data in MNIST's layout has a class for each label, named by its number") {
  const TemporaryFolder folder;
  Bytes letters;  // EMNIST's: 1 to 26
  for (int i = 0; i < 52; ++i) letters.push_back(static_cast<std::uint8_t>(i % 26 + 1));
  for (const char* part : {"train", "t10k"}) {
    write_file(folder / (std::string(part) + "-images-idx3-ubyte"), idx_bytes({52, 6, 6}, counting(52 * 36)));
    write_file(folder / (std::string(part) + "-labels-idx1-ubyte"), idx_bytes({52}, letters));
  }
  const auto set = data::open_dataset({"mnist", folder.path().string(), 6, {}, {}}, "");
  CHECK(set->classes() == 26);
  CHECK(set->class_names.front() == "1");
  CHECK(set->class_names.back() == "26");
  for (const auto& rows : set->examples_of_class) CHECK(rows.size() == 4);
}

TEST_CASE("MNIST's files under other names are named") {
  const TemporaryFolder folder;
  write_file(folder / "emnist-letters-train-images-idx3-ubyte.gz", {1});
  const std::string message = refusal([&] {
    data::open_dataset({"mnist", folder.path().string(), 6, {}, {}}, "");
  });
  holds(message, "no train-images-idx3-ubyte[.gz]");
  holds(message, "emnist-letters-train-images-idx3-ubyte.gz is there");
}

TEST_CASE("MNIST's files that do not fit together are refused") {
  const TemporaryFolder folder;
  write_mnist(folder.path(), false);
  const auto message = [&] {
    return refusal([&] { data::open_dataset({"mnist", folder.path().string(), 6, {}, {}}, ""); });
  };
  SECTION("fewer labels than images") {
    write_file(folder / "train-labels-idx1-ubyte", idx_bytes({29}, counting(29, 10)));
    holds(message(), "29 labels for the 30 images");
  }
  SECTION("a label beyond the classes") {
    write_file(folder / "t10k-labels-idx1-ubyte", idx_bytes({20}, counting(20, 11)));
    CHECK(data::open_dataset({"mnist", folder.path().string(), 6, {}, {}}, "")->classes() == 11);
    holds(refusal([&] {
            data::open_dataset({"fashion_mnist", folder.path().string(), 6, {}, {}}, "");
          }),
          "label 10, fashion_mnist has 0 to 9");
  }
  SECTION("images that are not square, or labels with two axes") {
    write_file(folder / "train-images-idx3-ubyte", idx_bytes({30, 6, 5}, counting(900)));
    holds(message(), "square");
    write_file(folder / "train-images-idx3-ubyte", idx_bytes({30, 6, 6}, counting(1080)));
    write_file(folder / "train-labels-idx1-ubyte", idx_bytes({30, 1}, counting(30, 10)));
    holds(message(), "not a list of labels");
  }
  SECTION("parts of different sizes") {
    write_file(folder / "t10k-images-idx3-ubyte", idx_bytes({20, 5, 5}, counting(500)));
    holds(message(), "5 pixels wide");
  }
  SECTION("a missing file, a missing folder, no folder at all") {
    std::filesystem::remove(folder / "t10k-labels-idx1-ubyte");
    holds(message(), "t10k-labels-idx1-ubyte[.gz]");
    holds(refusal([&] {
            data::open_dataset({"fashion_mnist", (folder / "none"), 14, {}, {}}, "");
          }),
          "apt-get install dataset-fashion-mnist");
    holds(refusal([&] { data::open_dataset({"mnist", "", 14, {}, {}}, ""); }), "mnist: no path");
  }
}

TEST_CASE("a dataset is named by NAME or NAME:PATH") {
  CHECK(data::parse_request("glyphs").path.empty());
  const data::DatasetRequest request = data::parse_request("hdf5:/a.h5:/x");
  CHECK(request.name == "hdf5");
  CHECK(request.path == "/a.h5:/x");
  CHECK(data::parse_request("npy:").path.empty());
  using data::ClassSplit;
  const auto is = [](const std::string& text, const std::string& name, const std::string& path,
                     ClassSplit classes) {
    INFO(text);
    const auto parsed = data::parse_request(text);
    CHECK(parsed.name == name);
    CHECK(parsed.path == path);
    CHECK(parsed.classes == classes);
  };
  is("glyphs", "glyphs", "", ClassSplit::all);
  is("glyphs:train", "glyphs", "", ClassSplit::train);
  is("glyphs:held_out", "glyphs", "", ClassSplit::held_out);
  is("folder:/data/held_out", "folder", "/data/held_out", ClassSplit::all);
  is("folder:/data:held_out", "folder", "/data", ClassSplit::held_out);
  is("folder:./train", "folder", "./train", ClassSplit::all);
  is("csv:t.csv:train", "csv", "t.csv", ClassSplit::train);
  is("csv:t.csv:./train", "csv", "t.csv:./train", ClassSplit::all);
  is("csv:t.csv:kind:train", "csv", "t.csv:kind", ClassSplit::train);
  is("hdf5:/a.h5:/x:held_out", "hdf5", "/a.h5:/x", ClassSplit::held_out);
  is("train", "train", "", ClassSplit::all);
  CHECK(data::request_label(data::parse_request("glyphs:held_out")) == "glyphs:held_out");
  CHECK(data::request_label(data::parse_request("folder:/a:train")) == "folder:train");
  CHECK(data::request_label(data::parse_request("folder:/a")) == "folder");
  holds(refusal([] { data::dataset_kind(data::parse_request("cifar:/a").name); }),
        "dataset \"cifar\" is not known: take one of");
}

TEST_CASE("requests out of range are refused") {
  holds(refusal([&] {
          data::open_dataset({"cifar", "", 14, {}, {}}, "");
        }),
        "fashion_mnist, mnist, cifar10, glyphs, crops");
  for (const std::int64_t size : {-1, 0, 1025})
    holds(refusal([&] { data::open_dataset({"glyphs", "", size, {}, {}}, ""); }), "1 to 1024");
}

}  // namespace
}  // namespace outerloop::tests
