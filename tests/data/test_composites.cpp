// Composites: images made of glyphs and crops.
#include <algorithm>
#include <set>

#include "common/base/error.h"
#include "common/data/class_split.h"
#include "common/data/composites.h"
#include "common/data/overlap.h"
#include "tests/catch.h"

namespace outerloop::tests {
namespace {

using data::WorkingSet;

constexpr std::size_t kPixels = 784;

/// `each` examples of every name; glyphs are bars whose position identifies the class, crops are flat greys.
WorkingSet parts(const std::vector<std::string>& names, int each, bool flat) {
  WorkingSet set;
  set.side = data::kWorkingSide;
  set.class_names = names;
  for (std::size_t label = 0; label < names.size(); ++label)
    for (int i = 0; i < each; ++i) {
      set.labels.push_back(static_cast<std::int32_t>(label));
      for (std::size_t p = 0; p < kPixels; ++p) {
        const bool ink = p % 28 > 8 + label % 4 && p % 28 < 14 + label % 4 && p / 28 > 4 && p / 28 < 24;
        set.pixels.push_back(static_cast<std::uint8_t>(flat ? 100 + 10 * i : ink ? 255 : 0));
      }
    }
  return set;
}

std::vector<std::string> names_of(const char* prefix, bool held_out, std::size_t count) {
  std::vector<std::string> names;
  for (int i = 0; names.size() < count; ++i)
    if (data::is_held_out(prefix + std::to_string(i)) == held_out)
      names.push_back(prefix + std::to_string(i));
  return names;
}

}  // namespace

TEST_CASE("composites are as many as promised, differ, and are the same every time") {
  const WorkingSet glyphs = parts(names_of("letter", false, 5), 12, false);
  const WorkingSet crops = parts(names_of("photo", false, 4), 6, true);
  const WorkingSet set = data::compose(glyphs, crops);
  CHECK(set.side == 28);
  CHECK(set.class_names.size() == 400);
  CHECK(set.labels.size() == 400 * 60);
  REQUIRE(set.pixels.size() == set.labels.size() * kPixels);
  CHECK(std::set<std::string>(set.class_names.begin(), set.class_names.end()).size() == 400);
  CHECK(data::compose(glyphs, crops).pixels == set.pixels);
  // Examples of a class differ, and hardly any is blank.
  std::size_t blank = 0, twins = 0;
  for (std::size_t i = 0; i < set.labels.size(); ++i) {
    const auto* begin = set.pixels.data() + i * kPixels;
    const auto range = std::minmax_element(begin, begin + kPixels);
    if (*range.second - *range.first < 10) ++blank;
    if (i > 0 && std::equal(begin, begin + kPixels, begin - kPixels)) ++twins;
  }
  CHECK(blank < set.labels.size() / 20);
  CHECK(twins < set.labels.size() / 100);
}

TEST_CASE("composites hold nothing of the classes that are held out") {
  const auto letters = names_of("letter", false, 3), photos = names_of("photo", false, 3);
  auto more_letters = letters, more_photos = photos;
  for (const auto& name : names_of("letter", true, 4)) more_letters.push_back(name);
  for (const auto& name : names_of("photo", true, 4)) more_photos.push_back(name);
  const WorkingSet set = data::compose(parts(letters, 12, false), parts(photos, 6, true));
  const WorkingSet same = data::compose(parts(more_letters, 12, false), parts(more_photos, 6, true));
  CHECK(same.class_names == set.class_names);
  CHECK(same.pixels == set.pixels);
}

TEST_CASE("composites without a part to make them from are refused") {
  const WorkingSet glyphs = parts(names_of("letter", false, 3), 12, false);
  const WorkingSet crops = parts(names_of("photo", false, 3), 6, true);
  CHECK_THROWS_AS(data::compose(parts(names_of("letter", true, 3), 12, false), crops), InputError);
  CHECK_THROWS_AS(data::compose(parts(names_of("letter", false, 3), 5, false), crops),
                  InputError);  // too few
  CHECK_THROWS_AS(data::compose(glyphs, parts(names_of("photo", true, 3), 6, true)), InputError);
}

TEST_CASE("training on composites leaves the held-out classes of glyphs and crops for evaluation alone") {
  data::DatasetRequest composites;
  composites.name = "composites";
  for (const char* name : {"glyphs", "crops"}) {
    data::DatasetRequest other;
    other.name = name;
    CHECK_THROWS_AS(data::check_no_overlap({composites}, {other}), InputError);
    CHECK_THROWS_AS(data::check_no_overlap({other}, {composites}), InputError);
    other.classes = data::ClassSplit::held_out;
    CHECK_NOTHROW(data::check_no_overlap({composites}, {other}));
  }
  CHECK_THROWS_AS(data::check_no_overlap({composites}, {composites}), InputError);
}

}  // namespace outerloop::tests
