// Glyphs of the installed fonts: a separate executable, since it is skipped if there are none.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "common/data/class_split.h"
#include "common/data/dataset.h"
#include "common/data/glyphs.h"
#include "common/data/source_files.h"
#include "tests/catch.h"
#include "tests/data/files.h"

namespace outerloop::tests {
namespace {

/// Faces of fonts-dejavu-core and fonts-liberation, which cover all three scripts.
std::vector<data::FontFace> text_faces() {
  std::vector<data::FontFace> faces;
  for (const data::FontFace& face : data::find_fonts("")) {
    const std::string name = face.file.filename().string();
    if (name == "DejaVuSans.ttf" || name == "DejaVuSerif-Bold.ttf" || name == "LiberationSerif-Regular.ttf" ||
        name == "LiberationMono-Regular.ttf")
      faces.push_back(face);
  }
  if (faces.size() < 4) skip("needs fonts-dejavu-core and fonts-liberation: apt-get install them");
  return faces;
}

data::FontFace dejavu() {
  for (const data::FontFace& face : text_faces())
    if (face.file.filename() == "DejaVuSans.ttf") return face;
  skip("needs DejaVuSans.ttf: apt-get install fonts-dejavu-core");
}

std::int32_t label_of(char32_t code_point) {
  for (const data::Character& character : data::characters())
    if (character.code_point == code_point) return character.label;
  FAIL("no such character: " << static_cast<std::uint32_t>(code_point));
  return -1;
}

std::uint32_t number(const Bytes& bytes, std::size_t at, int count) {
  std::uint32_t value = 0;
  for (int i = 0; i < count; ++i) value = value << 8 | bytes.at(at + static_cast<std::size_t>(i));
  return value;
}

void put(Bytes& bytes, std::uint32_t value, int count) {
  for (int shift = 8 * (count - 1); shift >= 0; shift -= 8)
    bytes.push_back(static_cast<std::uint8_t>(value >> shift));
}

/// Offset of a table's entry in an sfnt file's directory: tag, checksum, offset, length.
std::size_t directory_entry(const Bytes& font, const std::string& tag) {
  for (std::size_t i = 0; i < number(font, 4, 2); ++i) {
    const std::size_t at = 12 + 16 * i;
    if (std::string(font.begin() + static_cast<std::ptrdiff_t>(at),
                    font.begin() + static_cast<std::ptrdiff_t>(at) + 4) == tag)
      return at;
  }
  FAIL("no table " << tag);
  return 0;
}

/// The font with every character drawn as glyph `glyph` (a format 13 character map).
Bytes with_one_glyph(Bytes font, std::uint32_t glyph) {
  const std::size_t entry = directory_entry(font, "cmap");
  while (font.size() % 4 != 0) font.push_back(0);
  const auto offset = static_cast<std::uint32_t>(font.size());
  put(font, 0, 2);  // version, one table: Windows, UCS-4, 12 bytes on
  put(font, 1, 2);
  put(font, 3, 2);
  put(font, 10, 2);
  put(font, 12, 4);
  put(font, 13, 2);  // format, reserved, length, language, one group
  put(font, 0, 2);
  put(font, 28, 4);
  put(font, 0, 4);
  put(font, 1, 4);
  put(font, 0x21, 4);
  put(font, 0xFFFF, 4);
  put(font, glyph, 4);
  Bytes fields;
  put(fields, offset, 4);
  put(fields, 40, 4);
  std::copy(fields.begin(), fields.end(), font.begin() + static_cast<std::ptrdiff_t>(entry) + 8);
  return font;
}

TEST_CASE("characters are sorted, none twice, and look-alikes are one class") {
  const auto characters = data::characters();
  const auto names = data::character_classes();
  CHECK(characters.size() == 214);
  CHECK(std::set<std::string>(names.begin(), names.end()).size() == names.size());
  for (std::size_t i = 1; i < characters.size(); ++i)
    CHECK(characters[i - 1].code_point < characters[i].code_point);
  for (const std::u32string alike :
       {U"AΑА", U"BΒВ", U"EΕЕ", U"HΗН", U"IΙІl", U"KΚК", U"MΜМ", U"OΟОoοо", U"PΡР", U"TΤТ", U"XΧХx",
        U"aа",  U"cсC", U"eе",  U"pр",  U"yу",   U"NΝ",  U"ZΖz", U"vν",     U"ΓГ",  U"ΠП"})
    for (const char32_t c : alike) CHECK(label_of(c) == label_of(alike.front()));
  for (const std::u32string apart : {U"0OQCG", U"1lL7", U"AΛΔ", U"nuh", U"bdpq", U"ШЩЫ", U"ΘOΦ", U"2Z5S8B"})
    for (std::size_t i = 1; i < apart.size(); ++i) CHECK(label_of(apart[i]) != label_of(apart[i - 1]));
  CHECK(names[static_cast<std::size_t>(label_of(U'Α'))] == "A");
  CHECK(names[static_cast<std::size_t>(label_of(U'Ω'))] == "Ω");
}

TEST_CASE("a glyph fills its box in the middle, white on black, anti-aliased") {
  const auto glyphs = data::render_face(dejavu(), data::characters());
  CHECK(glyphs.size() == 214);
  std::int64_t between = 0;
  for (const data::Glyph& glyph : glyphs) {
    std::int64_t left = 28, right = -1, top = 28, bottom = -1;
    for (std::int64_t y = 0; y < 28; ++y)
      for (std::int64_t x = 0; x < 28; ++x) {
        const std::uint8_t pixel = glyph.pixels[static_cast<std::size_t>(28 * y + x)];
        between += pixel > 0 && pixel < 255 ? 1 : 0;
        if (pixel == 0) continue;
        left = std::min(left, x);
        right = std::max(right, x);
        top = std::min(top, y);
        bottom = std::max(bottom, y);
      }
    INFO("code point " << static_cast<std::uint32_t>(glyph.character.code_point));
    CHECK(std::max(right - left, bottom - top) + 1 >= 20);
    CHECK(std::max(right - left, bottom - top) + 1 <= 21);  // rounding may add a pixel
    CHECK(std::abs(left + right - 27) <= 1);
    CHECK(std::abs(top + bottom - 27) <= 1);
  }
  CHECK(between > 214 * 20);
}

TEST_CASE("what a face draws alike has one label") {
  for (const data::FontFace& face : text_faces()) {
    INFO(face.file);
    const data::WorkingSet set = data::render_glyphs({face});
    std::map<Bytes, std::set<std::int32_t>> labels;
    for (std::size_t i = 0; i < set.labels.size(); ++i) {
      const auto begin = set.pixels.begin() + static_cast<std::ptrdiff_t>(784 * i);
      labels[Bytes(begin, begin + 784)].insert(set.labels[i]);
    }
    for (const auto& [pixels, which] : labels) CHECK(which.size() == 1);
    // Latin, Greek and Cyrillic share at least this many letters with identical pixels.
    CHECK(set.labels.size() - labels.size() >= 25);
    CHECK(set.labels.size() >= 190);
  }
}

TEST_CASE("a letter that an italic draws as one of another class is left out") {
  for (const data::FontFace& face : data::find_fonts("")) {
    if (face.file.filename() != "LiberationSerif-Italic.ttf") continue;
    const data::WorkingSet set = data::render_glyphs({face});
    const auto count = [&](char32_t c) {
      const auto glyphs = data::render_face(face, {{c, label_of(c)}});
      REQUIRE(glyphs.size() == 1);
      int same = 0;
      for (std::size_t i = 0; i < set.labels.size(); ++i)
        same += set.labels[i] == glyphs[0].character.label &&
                        std::equal(glyphs[0].pixels.begin(), glyphs[0].pixels.end(),
                                   set.pixels.begin() + static_cast<std::ptrdiff_t>(784 * i))
                    ? 1
                    : 0;
      return same;
    };
    CHECK(count(U'и') == 0);  // it looks like u
    CHECK(count(U'u') == 1);
    CHECK(count(U'И') == 1);
  }
}

TEST_CASE("rendering follows the order of faces and characters and gives the same bits") {
  auto faces = text_faces();
  const data::WorkingSet set = data::render_glyphs(faces);
  CHECK(set.pixels == data::render_glyphs(faces).pixels);
  CHECK(set.examples() > 700);
  CHECK(set.pixels.size() == set.labels.size() * 784);
  const data::WorkingSet first = data::render_glyphs({faces[0]});
  CHECK(std::equal(first.pixels.begin(), first.pixels.end(), set.pixels.begin()));
  CHECK(std::equal(first.labels.begin(), first.labels.end(), set.labels.begin()));
}

TEST_CASE("faces of boxes, of symbols and files that are no fonts give nothing") {
  const TemporaryFolder folder;
  const Bytes font = data::read_file(dejavu().file, 1 << 24);
  const auto classes = [&](const Bytes& bytes) {
    write_file(folder / "fonts/face.ttf", bytes);
    const data::WorkingSet set = data::render_glyphs(data::find_fonts(folder / "fonts"));
    return std::set<std::int32_t>(set.labels.begin(), set.labels.end()).size();
  };
  CHECK(classes(font) > 100);
  CHECK(classes(with_one_glyph(font, 36)) == 0);  // every character is drawn as A
  CHECK(classes(with_one_glyph(font, 0)) == 0);   // ... as .notdef
  Bytes symbols = font;
  symbols[number(font, directory_entry(font, "OS/2") + 8, 4) + 32] = 5;  // PANOSE: Latin symbol
  CHECK(classes(symbols) == 0);
  CHECK(classes({'n', 'o', ' ', 'f', 'o', 'n', 't'}) == 0);
  holds(refusal([&] {
          data::open_dataset({"glyphs", (folder / "fonts"), 14, {}, {}}, "");
        }),
        "none of the 1 font faces");
  std::filesystem::remove(folder / "fonts/face.ttf");
  holds(refusal([&] {
          data::open_dataset({"glyphs", (folder / "fonts"), 14, {}, {}}, "");
        }),
        "apt-get install fonts-dejavu-core");
  holds(refusal([&] {
          data::open_dataset({"glyphs", (folder / "none"), 14, {}, {}}, "");
        }),
        "no such folder");
}

TEST_CASE("a font cut or changed anywhere gives fewer glyphs, never a crash") {
  const TemporaryFolder folder;
  const Bytes font = data::read_file(dejavu().file, 1 << 24);
  const std::vector<data::Character> few{{U'A', 0}, {U'g', 1}, {U'я', 2}};
  const auto glyphs = [&](const Bytes& bytes) {
    write_file(folder / "face.ttf", bytes);
    return data::render_face({folder / "face.ttf", 0}, few).size();
  };
  CHECK(glyphs(font) == 3);
  for (std::size_t i = 1; i <= 60; ++i) {
    CHECK(glyphs(first_bytes(font, font.size() * i / 61)) <= 3);
    Bytes changed = font;
    for (std::size_t at = i; at < 4000; at += 61) changed[at] ^= static_cast<std::uint8_t>(i);
    CHECK(glyphs(changed) <= 3);
  }
}

TEST_CASE("the dataset of the installed fonts: cached, split by class, resized") {
  text_faces();
  const TemporaryFolder folder;
  const auto open = [&](data::ClassSplit classes, std::int64_t size) {
    return data::open_dataset({"glyphs", "", size, classes, {}}, (folder / "cache"));
  };
  const auto seconds = [](const std::function<void()>& action) {
    const auto start = std::chrono::steady_clock::now();
    action();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  std::shared_ptr<const data::Dataset> all, again;
  const double first = seconds([&] { all = open(data::ClassSplit::all, 14); });
  const double second = seconds([&] { again = open(data::ClassSplit::all, 14); });
  CHECK(all->sha256 == again->sha256);
  CHECK(all->pixels == again->pixels);
  CHECK(second < first);
  CHECK(all->classes() > 100);
  CHECK(all->inputs == 196);

  const auto train = open(data::ClassSplit::train, 10);
  const auto held_out = open(data::ClassSplit::held_out, 10);
  CHECK(train->examples() + held_out->examples() == all->examples());
  CHECK(train->classes() + held_out->classes() == all->classes());
  for (const std::string& name : held_out->class_names) {
    CHECK(data::is_held_out(name));
    CHECK(std::count(train->class_names.begin(), train->class_names.end(), name) == 0);
  }
  CHECK(held_out->classes() >= 15);
  CHECK(static_cast<double>(held_out->classes()) < 0.35 * static_cast<double>(all->classes()));
  CHECK(train->sha256 != held_out->sha256);
}

}  // namespace
}  // namespace outerloop::tests
