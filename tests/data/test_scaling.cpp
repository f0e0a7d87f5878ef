// Scalings of vectors: levels of each kind, the rows that they are fitted to, and equal results for equal
// numbers in any storage format.
#include <algorithm>
#include <cmath>
#include <limits>

#include "common/base/error.h"
#include "common/data/class_split.h"
#include "common/data/dataset.h"
#include "common/data/scaling.h"
#include "common/data/sources.h"
#include "common/data/words.h"
#include "common/rule/random.h"
#include "tests/catch.h"
#include "tests/data/files.h"

namespace outerloop::tests {
namespace {

using data::ScalingKind;

constexpr ScalingKind kAll[] = {ScalingKind::columns, ScalingKind::array, ScalingKind::quantiles,
                                ScalingKind::ranks};

data::WorkingSet vectors(std::int64_t columns, const std::vector<double>& values) {
  data::WorkingSet set;
  set.inputs = columns;
  set.class_names = {"all"};
  set.labels.assign(values.size() / static_cast<std::size_t>(columns), 0);
  set.values = values;
  return set;
}

Bytes scaled(ScalingKind kind, data::WorkingSet set) {
  data::scale_vectors(data::fit_scalings(kind, set, data::ClassSplit::all), "test", set);
  CHECK(set.values.empty());
  return set.pixels;
}

TEST_CASE("one column of each kind") {
  const std::vector<double> column{-2, 0, 0, 2, 10};
  CHECK(scaled(ScalingKind::columns, vectors(1, column)) == Bytes{0, 43, 43, 85, 255});
  CHECK(scaled(ScalingKind::array, vectors(1, column)) == Bytes{0, 43, 43, 85, 255});
  CHECK(scaled(ScalingKind::quantiles, vectors(1, column)) == Bytes{0, 43, 43, 85, 255});
  CHECK(scaled(ScalingKind::ranks, vectors(1, column)) == Bytes{0, 64, 64, 191, 255});
  CHECK(scaled(ScalingKind::none, vectors(1, {0.0, 0.5, 1.0})) == Bytes{0, 128, 255});
  for (const ScalingKind kind : kAll) CHECK(scaled(kind, vectors(1, {7.0})) == Bytes{0});
}

TEST_CASE("columns are scaled by themselves, array all together") {
  const std::vector<double> values{0, 100, 1, 300, 2, 200};
  CHECK(scaled(ScalingKind::columns, vectors(2, values)) == Bytes{0, 0, 128, 255, 255, 128});
  CHECK(scaled(ScalingKind::quantiles, vectors(2, values)) == Bytes{0, 0, 128, 255, 255, 128});
  CHECK(scaled(ScalingKind::ranks, vectors(2, values)) == Bytes{0, 0, 128, 255, 255, 128});
  CHECK(scaled(ScalingKind::array, vectors(2, values)) == Bytes{0, 85, 1, 255, 2, 170});
}

TEST_CASE("an outlier takes the levels from the others but for quantiles and ranks") {
  std::vector<double> column;
  for (int row = 0; row < 1001; ++row) column.push_back(row == 500 ? 1e9 : row);
  for (const ScalingKind kind : {ScalingKind::columns, ScalingKind::array}) {
    const Bytes bytes = scaled(kind, vectors(1, column));
    CHECK(bytes[1000] == 0);
    CHECK(bytes[500] == 255);
  }
  for (const ScalingKind kind : {ScalingKind::quantiles, ScalingKind::ranks}) {
    const Bytes bytes = scaled(kind, vectors(1, column));
    CHECK(bytes[0] == 0);
    CHECK(std::abs(bytes[250] - 64) <= 1);
    CHECK(std::abs(bytes[750] - 191) <= 1);
    CHECK(bytes[1000] >= 254);
    CHECK(bytes[500] == 255);
  }
  const Bytes quantiles = scaled(ScalingKind::quantiles, vectors(1, column));
  CHECK((quantiles[5] == 0 && quantiles[8] > 0));  // clipped at the quantile .005
  CHECK((quantiles[996] == 255 && quantiles[990] < 255));
}

TEST_CASE("heavy tails on both sides keep their middle apart by quantiles and ranks") {
  const rule::Random random(3, 0, 0, rule::Purpose::test);
  std::vector<double> column;
  for (std::uint32_t i = 0; i < 4000; ++i) {
    const double u = random.normal(i);
    column.push_back(u * u * u * u * u);
  }
  const auto levels = [&](ScalingKind kind) {
    std::vector<int> count(256);
    for (const std::uint8_t byte : scaled(kind, vectors(1, column))) ++count[byte];
    return std::count_if(count.begin(), count.end(), [](int n) { return n > 0; });
  };
  CHECK(levels(ScalingKind::quantiles) > 2 * levels(ScalingKind::columns));
  CHECK(levels(ScalingKind::ranks) == 256);
}

TEST_CASE("a column that is nearly all one number does not vanish, a constant one is 0") {
  std::vector<double> values;
  for (int row = 0; row < 1000; ++row) {
    values.push_back(row == 17 ? 5.0 : row == 18 ? 1.0 : 0.0);  // a rare word, its quantiles both 0
    values.push_back(row % 20 == 0 ? 1.0 : row % 20 == 1 ? 2.0 : 0.0);
    values.push_back(42.0);
  }
  for (const ScalingKind kind : {ScalingKind::columns, ScalingKind::quantiles, ScalingKind::ranks}) {
    INFO(data::scaling_name(kind));
    const Bytes bytes = scaled(kind, vectors(3, values));
    const auto at = [&](std::size_t row, std::size_t column) {
      return static_cast<int>(bytes[3 * row + column]);
    };
    CHECK(at(17, 0) == 255);
    CHECK(at(18, 0) > 0);
    CHECK(at(19, 0) == 0);
    CHECK(at(2, 1) == 0);
    CHECK(at(1, 1) == 255);
    CHECK((at(0, 1) > 100 && at(0, 1) < 255));
    CHECK(at(17, 2) == 0);
  }
}

TEST_CASE("the largest doubles do not overflow, and what was not seen is clipped") {
  CHECK(scaled(ScalingKind::columns, vectors(1, {-1.7e308, 0, 1.7e308})) == Bytes{0, 128, 255});
  for (const ScalingKind kind : kAll) {
    const auto scaling = data::fit_scalings(kind, vectors(1, {1, 2, 3}), data::ClassSplit::all).front();
    CHECK(scaling.level(0, -1e300) == 0);
    CHECK(scaling.level(0, 1e300) == 255);
    CHECK(scaling.level(0, 2.0) == 128);
  }
}

TEST_CASE("no scaling takes bytes as they are, and refuses numbers beyond 0 to 1") {
  data::WorkingSet bytes = vectors(2, {});
  bytes.pixels.resize(512);
  bytes.labels.assign(256, 0);
  for (std::size_t i = 0; i < 512; ++i) bytes.pixels[i] = static_cast<std::uint8_t>(i / 2);
  CHECK(scaled(ScalingKind::none, bytes) == bytes.pixels);
  for (const double wrong : {-0.1, 1.1, 1e300}) {
    const std::string said = refusal([&] { scaled(ScalingKind::none, vectors(1, {0.5, wrong})); });
    holds(said, "test: inputs.scaling: none");
    holds(said, "quantiles");
  }
}

TEST_CASE("counts are the same inputs as bytes, as doubles and in other units") {
  data::WorkingSet counts = vectors(3, {});
  const rule::Random random(5, 0, 0, rule::Purpose::test);
  for (std::uint32_t i = 0; i < 3 * 700; ++i)
    counts.pixels.push_back(
        static_cast<std::uint8_t>(random.below(i, 30 * (i % 3) + 6) * (random.uniform(i) < 0.3)));
  counts.labels.assign(700, 0);
  data::WorkingSet doubles = vectors(3, {counts.pixels.begin(), counts.pixels.end()});
  data::WorkingSet larger = doubles;
  for (double& value : larger.values) value *= 51.0;
  for (const ScalingKind kind : kAll) {
    const Bytes expected = scaled(kind, counts);
    CHECK(expected == scaled(kind, doubles));
    CHECK(expected == scaled(kind, larger));
  }
}

TEST_CASE("a scaling is fitted to the classes for training, and the same whichever are asked for") {
  data::WorkingSet set = vectors(1, {});
  for (std::int32_t label = 0; label < 40; ++label) {
    set.class_names.push_back("class " + std::to_string(label));
    const bool out = data::is_held_out(set.class_names.back());
    for (int row = 0; row < 3; ++row) {
      set.labels.push_back(label + 1);
      set.values.push_back(out ? 1000.0 + row : row);
    }
  }
  const auto high = [&](data::ClassSplit split) {
    return data::fit_scalings(ScalingKind::columns, set, split).front().numbers.at(1);
  };
  CHECK(high(data::ClassSplit::train) == 2.0);
  CHECK(high(data::ClassSplit::held_out) == 2.0);
  CHECK(high(data::ClassSplit::all) == 1002.0);
}

TEST_CASE("each group has a scaling of its own, of all of its rows where all of it is held out") {
  data::WorkingSet set;
  set.inputs = 2;
  set.groups = {{"narrow", 1}, {"wide", 2}};
  set.class_names = {"a", "b"};
  set.group_of_class = {1, 0};
  set.labels = {0, 1, 0, 1};
  set.values = {0, 10, 5, 1, 30, 6};
  for (const auto split : {data::ClassSplit::all, data::ClassSplit::train, data::ClassSplit::held_out}) {
    data::WorkingSet copy = set;
    const auto scalings = data::fit_scalings(ScalingKind::columns, copy, split);
    REQUIRE(scalings.size() == 2);
    CHECK(scalings[0].columns == 1);
    CHECK(scalings[0].numbers == std::vector<double>{5, 6});
    CHECK(scalings[1].numbers == std::vector<double>{0, 1, 10, 30});
    data::scale_vectors(scalings, "test", copy);
    CHECK(copy.pixels == Bytes{0, 0, 0, 255, 255, 255});
  }
}

TEST_CASE("a scaling is made of plain numbers, and those of a file are looked at") {
  const auto set = vectors(2, {3, 1, 4, 1, 5, 9, 2, 6});
  for (const ScalingKind kind : {ScalingKind::none, ScalingKind::columns, ScalingKind::array,
                                 ScalingKind::quantiles, ScalingKind::ranks}) {
    INFO(data::scaling_name(kind));
    CHECK(data::scaling_of_name(data::scaling_name(kind)) == kind);
    const auto scaling = data::fit_scalings(kind, set, data::ClassSplit::all).front();
    const data::Scaling again{kind, 2, scaling.numbers};
    CHECK_NOTHROW(data::check_scaling(again, "m.h5"));
    for (int x = -2; x < 12; ++x)
      for (std::int64_t column = 0; column < 2; ++column)
        CHECK(again.level(column, x / 2.0) == scaling.level(column, x / 2.0));
    data::Scaling wrong = again;
    wrong.numbers.pop_back();
    holds(refusal([&] { data::check_scaling(wrong, "m.h5"); }), "m.h5: ");
    wrong = again;
    wrong.numbers[0] = std::numeric_limits<double>::quiet_NaN();
    holds(refusal([&] { data::check_scaling(wrong, "m.h5"); }), "no scaling by");
    wrong = again;
    wrong.numbers[0] = std::numeric_limits<double>::infinity();
    holds(refusal([&] { data::check_scaling(wrong, "m.h5"); }), "make the file again");
    wrong.columns = 0;
    holds(refusal([&] { data::check_scaling(wrong, "m.h5"); }), "of 0 columns");
  }
  holds(refusal([] { data::scaling_of_name("log"); }), "none, columns, array, quantiles, ranks");
}

TEST_CASE("counts that somebody saved as an array are the same inputs as the texts themselves") {
  const TemporaryFolder folder;
  std::string table;
  const char* words[] = {"a", "good", "bad", "film", "plot", "rare", "seen"};
  for (std::uint32_t i = 0; i < 300; ++i) {
    const rule::Random random(7, 0, i, rule::Purpose::test);
    table += std::to_string(i % 9) + "\t";
    for (std::uint32_t word = 0; word < 5 + i % 30; ++word)
      table += std::string(words[random.below(word, i == 40 ? 7 : 5)]) + " ";
    table += "\n";
  }
  write_file(folder / "t.tsv", text_bytes(table));
  const data::DatasetRequest texts{"reviews", (folder / "t.tsv"), 14, {}, {}};
  const data::WorkingSet raw = data::read_source(texts, "");
  REQUIRE(*std::max_element(raw.pixels.begin(), raw.pixels.end()) == data::kMostCounted);
  const std::string shape = "(300, " + std::to_string(raw.inputs) + ")";
  const std::vector<std::int64_t> whole(raw.pixels.begin(), raw.pixels.end());
  std::vector<float> times_51;
  for (const std::int64_t count : whole) times_51.push_back(51.0f * static_cast<float>(count));
  write_file(folder / "u1.npy", npy_bytes("|u1", shape, raw.pixels));
  write_file(folder / "i8.npy", npy_bytes("<i8", shape, raw_bytes(whole)));
  write_file(folder / "f4.npy", npy_bytes("<f4", shape, raw_bytes(times_51)));
  for (const ScalingKind kind : kAll) {
    INFO(data::scaling_name(kind));
    data::DatasetRequest request = texts;
    request.scaling = kind;
    const auto expected = data::open_dataset(request, "");
    CHECK(expected->domain == data::Domain::texts);
    for (const char* file : {"u1.npy", "i8.npy", "f4.npy"}) {
      data::DatasetRequest saved{"npy", (folder / file), 14, {}, {}};
      saved.scaling = kind;
      const auto array = data::open_dataset(saved, "");
      CHECK(array->domain == data::Domain::tables);
      CHECK(array->pixels == expected->pixels);
    }
  }
}

TEST_CASE("a dataset in parts is scaled by its training part") {
  const TemporaryFolder folder;
  for (int i = 0; i < 4; ++i) {
    const std::string name = std::to_string(i);
    write_file(folder / ("train/pos/" + name + "_9.txt"), text_bytes("good good good"));
    write_file(folder / ("train/neg/" + name + "_1.txt"), text_bytes("bad"));
    write_file(folder / ("test/pos/" + name + "_9.txt"), text_bytes("good good good good good bad"));
    write_file(folder / ("test/neg/" + name + "_1.txt"), text_bytes("good"));
  }
  data::DatasetRequest request{"imdb", folder.path().string(), 14, {}, data::Part::test};
  const auto test = data::open_dataset(request, "");
  REQUIRE(test->inputs == 2);  // good, bad
  CHECK(Bytes(test->pixels.begin(), test->pixels.begin() + 2) == Bytes{85, 0});
  CHECK(Bytes(test->pixels.end() - 2, test->pixels.end()) == Bytes{255, 255});
  request.part = data::Part::all;
  const auto all = data::open_dataset(request, "");
  CHECK(Bytes(all->pixels.end() - 2, all->pixels.end()) == Bytes{255, 255});
  CHECK(std::count(all->pixels.begin(), all->pixels.end(), 85) == 4);
}

TEST_CASE("the domain of an array is a matter of its shape") {
  const TemporaryFolder folder;
  write_file(folder / "images.npy", npy_bytes("|u1", "(5, 4, 4)", Bytes(80, 3)));
  write_file(folder / "table.npy", npy_bytes("|u1", "(5, 16)", Bytes(80, 3)));
  const auto domain = [&](const char* file) {
    return data::open_dataset({"npy", (folder / file), 4, {}, {}}, "")->domain;
  };
  CHECK(domain("images.npy") == data::Domain::images);
  CHECK(domain("table.npy") == data::Domain::tables);
  CHECK(data::open_dataset({"two_moons", "", 14, {}, {}}, "")->domain == data::Domain::tables);
  CHECK(data::dataset_kind("tables").domain == data::Domain::tables);
  CHECK(data::dataset_kind("imdb").domain == data::Domain::texts);
  CHECK(data::dataset_kind("glyphs").domain == data::Domain::images);
  CHECK_FALSE(data::dataset_kind("hdf5").domain.has_value());
}

}  // namespace
}  // namespace outerloop::tests
