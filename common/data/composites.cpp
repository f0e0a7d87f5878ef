#include "common/data/composites.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "common/base/error.h"
#include "common/base/sha256.h"
#include "common/data/class_split.h"
#include "common/data/dice.h"
#include "common/rule/random.h"

namespace outerloop::data {
namespace {

constexpr std::size_t kPixels = static_cast<std::size_t>(kWorkingSide * kWorkingSide);
constexpr double kMiddle = (static_cast<double>(kWorkingSide) - 1.0) / 2.0;
constexpr std::size_t kFewestDrawings = 10;

/// Grey values 0 .. 1 of a working image; 0 outside.
using Image = std::array<double, kPixels>;

/// The examples of each training class that has at least `fewest` of them.
struct Parts {
  std::vector<std::int32_t> classes;
  std::vector<std::vector<std::size_t>> examples;  ///< [classes][...]
};

Parts training_parts(const WorkingSet& set, std::size_t fewest) {
  std::vector<std::vector<std::size_t>> of_class(set.class_names.size());
  for (std::size_t i = 0; i < set.labels.size(); ++i)
    of_class[static_cast<std::size_t>(set.labels[i])].push_back(i);
  Parts parts;
  for (std::size_t label = 0; label < of_class.size(); ++label) {
    if (of_class[label].size() < fewest || is_held_out(set.class_names[label])) continue;
    parts.classes.push_back(static_cast<std::int32_t>(label));
    parts.examples.push_back(std::move(of_class[label]));
  }
  return parts;
}

Image image_of(const WorkingSet& set, std::size_t example) {
  Image image;
  const std::uint8_t* pixels = set.pixels.data() + example * kPixels;
  std::transform(pixels, pixels + kPixels, image.begin(), [](std::uint8_t p) { return p / 255.0; });
  return image;
}

double bilinear(const Image& image, double x, double y) {
  const double left = std::floor(x), top = std::floor(y);
  const double right_share = x - left, lower_share = y - top;
  const auto at = [&](double column, double row) {
    const auto c = static_cast<std::int64_t>(column), r = static_cast<std::int64_t>(row);
    if (c < 0 || r < 0 || c >= kWorkingSide || r >= kWorkingSide) return 0.0;
    return image[static_cast<std::size_t>(r * kWorkingSide + c)];
  };
  const double upper = (1.0 - right_share) * at(left, top) + right_share * at(left + 1, top);
  const double lower = (1.0 - right_share) * at(left, top + 1) + right_share * at(left + 1, top + 1);
  return (1.0 - lower_share) * upper + lower_share * lower;
}

/// Dilation: every pixel becomes the maximum within `radius`, along rows, then along columns.
Image thickened(const Image& image, std::int64_t radius) {
  Image result = image;
  for (const std::int64_t stride : {std::int64_t{1}, kWorkingSide}) {
    const Image before = result;
    for (std::int64_t i = 0; i < static_cast<std::int64_t>(kPixels); ++i) {
      const std::int64_t place = stride == 1 ? i % kWorkingSide : i / kWorkingSide;
      const std::int64_t first = std::max(-radius, -place);
      const std::int64_t last = std::min(radius, kWorkingSide - 1 - place);
      double& largest = result[static_cast<std::size_t>(i)];
      for (std::int64_t d = first; d <= last; ++d)
        largest = std::max(largest, before[static_cast<std::size_t>(i + d * stride)]);
    }
  }
  return result;
}

struct Box {
  double left = kWorkingSide, right = -1.0, top = kWorkingSide, bottom = -1.0;

  double width() const { return std::max(1.0, right - left + 1.0); }
  double height() const { return std::max(1.0, bottom - top + 1.0); }
};

Box inked(const Image& image) {
  Box box;
  for (std::size_t i = 0; i < kPixels; ++i) {
    if (image[i] < 0.5) continue;
    const auto x = static_cast<double>(i % kWorkingSide), y = static_cast<double>(i / kWorkingSide);
    box.left = std::min(box.left, x);
    box.right = std::max(box.right, x);
    box.top = std::min(box.top, y);
    box.bottom = std::max(box.bottom, y);
  }
  return box;
}

/// Random numbers of one class, or of one of its examples.
Dice dice_of(std::int64_t of_class, std::int64_t example) {
  return Dice(rule::Random(base::stable_hash("composites"), static_cast<std::uint32_t>(of_class),
                           static_cast<std::uint32_t>(example), rule::Purpose::composite));
}

/// A surface: a photograph, and its share in a mix with plain grey.
struct Surface {
  std::size_t picture = 0;
  double brightness = 1.0;
  double texture = 0.0;  ///< 0: plain, 1: full variation of the photograph
};

/// Properties shared by the examples of a class.
struct Look {
  std::size_t shape = 0;
  std::int64_t thickness = 0;
  double width = 24.0, height = 24.0;  ///< of the shape, in pixels
  double angle = 0.0;
  bool hollow = false;  ///< the background shines through the shape's inside
  Surface inside, outside;
  double ramp_x = 0.0, ramp_y = 0.0;  ///< shading: change of brightness from edge to edge
};

Look look_of_class(std::int64_t number, const Parts& glyphs, const Parts& crops) {
  Dice dice = dice_of(number, 0);
  Look look;
  look.shape = dice.below(glyphs.classes.size());
  look.thickness = static_cast<std::int64_t>(dice.below(4));
  look.width = dice.uniform(0.4, 1.0) * static_cast<double>(kWorkingSide);
  look.height = dice.uniform(0.4, 1.0) * static_cast<double>(kWorkingSide);
  look.angle = dice.uniform(-3.14159265358979, 3.14159265358979);
  look.hollow = dice.chance(0.15);
  look.inside = {dice.below(crops.classes.size()), dice.uniform(0.35, 1.0), dice.uniform(0.0, 1.0)};
  look.outside.picture = dice.below(crops.classes.size());
  // Half of the backgrounds are black, a quarter plain grey, a quarter photographs.
  const double background = dice.uniform(0.0, 1.0);
  look.outside.brightness = background < 0.5 ? 0.0 : dice.uniform(0.0, 0.8);
  look.outside.texture = background < 0.75 ? 0.0 : dice.uniform(0.2, 1.0);
  look.ramp_x = dice.uniform(-0.5, 0.5);
  look.ramp_y = dice.uniform(-0.5, 0.5);
  return look;
}

/// The surface of one example: a crop of the photograph, rotated, mirrored and enlarged.
class Sheen {
 public:
  Sheen(const Surface& surface, const WorkingSet& crops, const Parts& parts, Dice& dice)
      : surface_(surface),
        image_(image_of(
            crops, parts.examples[surface.picture][dice.below(parts.examples[surface.picture].size())])) {
    mirrored_ = dice.chance(0.5);
    zoom_ = dice.uniform(0.5, 1.0);
    x_ = dice.uniform(0.0, (1.0 - zoom_) * 2.0 * kMiddle);
    y_ = dice.uniform(0.0, (1.0 - zoom_) * 2.0 * kMiddle);
    light_ = surface.brightness * dice.uniform(0.8, 1.2);
    mean_ = 0.0;
    for (const double pixel : image_) mean_ += pixel / static_cast<double>(kPixels);
  }

  double at(double x, double y) const {
    if (surface_.texture == 0.0) return light_;
    const double column = mirrored_ ? 2.0 * kMiddle - x : x;
    const double pixel = bilinear(image_, x_ + zoom_ * column, y_ + zoom_ * y);
    return light_ * (1.0 + surface_.texture * (pixel - mean_) / std::max(mean_, 0.25));
  }

 private:
  Surface surface_;
  Image image_;
  bool mirrored_ = false;
  double zoom_ = 1.0, x_ = 0.0, y_ = 0.0, light_ = 1.0, mean_ = 0.0;
};

/// The posed shape's coverage of every pixel, 0 .. 1.
Image posed_shape(const Look& look, const Image& drawing, Dice& dice) {
  Image shape = thickened(drawing, look.thickness);
  if (look.hollow) {
    const Image thicker = thickened(drawing, look.thickness + 1);
    for (std::size_t i = 0; i < kPixels; ++i) shape[i] = std::max(0.0, thicker[i] - drawing[i]);
  }
  const Box box = inked(shape);
  const double size = dice.uniform(0.9, 1.1);
  const double scale_x = box.width() / (look.width * size), scale_y = box.height() / (look.height * size);
  const double angle = look.angle + dice.uniform(-0.15, 0.15);
  const double shift_x = dice.uniform(-1.5, 1.5), shift_y = dice.uniform(-1.5, 1.5);
  const double cosine = std::cos(angle), sine = std::sin(angle);
  // The character is rotated first, then stretched to the class's box.
  const double half_x = (box.left + box.right) / 2.0, half_y = (box.top + box.bottom) / 2.0;
  Image posed;
  for (std::size_t i = 0; i < kPixels; ++i) {
    const double x = scale_x * (static_cast<double>(i % kWorkingSide) - kMiddle - shift_x);
    const double y = scale_y * (static_cast<double>(i / kWorkingSide) - kMiddle - shift_y);
    posed[i] = bilinear(shape, half_x + cosine * x + sine * y, half_y - sine * x + cosine * y);
  }
  return posed;
}

void draw_example(const Look& look, const WorkingSet& glyphs, const Parts& shapes, const WorkingSet& crops,
                  const Parts& pictures, Dice dice, std::uint8_t* pixels) {
  const auto& drawings = shapes.examples[look.shape];
  const Image shape = posed_shape(look, image_of(glyphs, drawings[dice.below(drawings.size())]), dice);
  const Sheen inside(look.inside, crops, pictures, dice);
  const Sheen outside(look.outside, crops, pictures, dice);
  for (std::size_t i = 0; i < kPixels; ++i) {
    const auto x = static_cast<double>(i % kWorkingSide), y = static_cast<double>(i / kWorkingSide);
    const double shade =
        1.0 + look.ramp_x * (x / kMiddle - 1.0) / 2.0 + look.ramp_y * (y / kMiddle - 1.0) / 2.0;
    const double value = shape[i] * shade * inside.at(x, y) + (1.0 - shape[i]) * outside.at(x, y);
    pixels[i] = static_cast<std::uint8_t>(std::lround(255.0 * std::clamp(value, 0.0, 1.0)));
  }
}

}  // namespace

WorkingSet compose(const WorkingSet& glyphs, const WorkingSet& crops) {
  const Parts shapes = training_parts(glyphs, kFewestDrawings);
  const Parts pictures = training_parts(crops, 1);
  if (shapes.classes.empty() || pictures.classes.empty())
    throw InputError("composites: no " + std::string(shapes.classes.empty() ? "characters" : "photographs") +
                     " that are for training: they need the datasets glyphs and crops, see docs/data.md");
  WorkingSet set;
  set.side = kWorkingSide;
  set.remarks = glyphs.remarks;
  set.remarks.insert(set.remarks.end(), crops.remarks.begin(), crops.remarks.end());
  set.complete = glyphs.complete && crops.complete;
  set.pixels.resize(static_cast<std::size_t>(kCompositeClasses * kExamplesPerComposite) * kPixels);
  std::uint8_t* pixels = set.pixels.data();
  for (std::int64_t number = 0; number < kCompositeClasses; ++number) {
    const Look look = look_of_class(number, shapes, pictures);
    const auto name = [](const WorkingSet& of, const Parts& parts, std::size_t place) {
      return of.class_names[static_cast<std::size_t>(parts.classes[place])];
    };
    set.class_names.push_back(std::to_string(number) + " " + name(glyphs, shapes, look.shape) + " " +
                              name(crops, pictures, look.inside.picture));
    for (std::int64_t example = 1; example <= kExamplesPerComposite; ++example, pixels += kPixels) {
      set.labels.push_back(static_cast<std::int32_t>(number));
      draw_example(look, glyphs, shapes, crops, pictures, dice_of(number, example), pixels);
    }
  }
  return set;
}

std::string composites_recipe() {
  return "composites 1, " + std::to_string(kCompositeClasses) + " classes of " +
         std::to_string(kExamplesPerComposite);
}

}  // namespace outerloop::data
