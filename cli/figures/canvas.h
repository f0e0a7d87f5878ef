#pragma once
// Drawing with Cairo: lines, text, images; the same calls make a PNG, an SVG and a PDF.
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

typedef struct _cairo cairo_t;

namespace outerloop::cli {

struct Colour {
  double red = 0.0, green = 0.0, blue = 0.0, alpha = 1.0;  ///< 0 .. 1

  Colour with_alpha(double value) const { return {red, green, blue, value}; }
};

/// Colours that remain distinct to colour-blind readers (Okabe and Ito, 2008), and greys for frames and text.
namespace palette {
inline constexpr Colour blue{0.000, 0.447, 0.698};
inline constexpr Colour vermilion{0.835, 0.369, 0.000};
inline constexpr Colour green{0.000, 0.620, 0.451};
inline constexpr Colour orange{0.902, 0.624, 0.000};
inline constexpr Colour sky{0.337, 0.706, 0.914};
inline constexpr Colour purple{0.800, 0.475, 0.655};
inline constexpr Colour grey{0.60, 0.60, 0.60};
inline constexpr Colour text{0.13, 0.13, 0.15};
inline constexpr Colour muted{0.40, 0.40, 0.43};
inline constexpr Colour grid{0.90, 0.90, 0.91};
inline constexpr Colour frame{0.55, 0.55, 0.58};
inline constexpr Colour white{1.0, 1.0, 1.0};
}  // namespace palette

/// A rectangle in points; y grows downwards.
struct Box {
  double left = 0.0, top = 0.0, width = 0.0, height = 0.0;
  double right() const { return left + width; }
  double bottom() const { return top + height; }
};

enum class Align { left, centre, right };

struct Font {
  double size = 12.0;
  bool bold = false;
};

using Point = std::pair<double, double>;

/// All lengths are points. Text is positioned by its baseline.
class Canvas {
 public:
  explicit Canvas(cairo_t* context) : context_(context) {}
  Canvas(const Canvas&) = delete;
  Canvas& operator=(const Canvas&) = delete;

  void line(Point from, Point to, Colour colour, double width, bool dashed = false);
  void polyline(const std::vector<Point>& points, Colour colour, double width);
  void fill(const Box& box, Colour colour);
  void fill_polygon(const std::vector<Point>& points, Colour colour);
  void dot(Point centre, double radius, Colour colour);
  /// Greys of an image, row-major [rows, columns], 0 black to 1 white, as sharp squares that fill `box`.
  void image(const Box& box, std::int64_t rows, std::int64_t columns, const std::vector<double>& greys);
  void text(Point baseline, const std::string& text, Font font, Colour colour = palette::text,
            Align align = Align::left);
  /// Text rotated to read upwards, centred on `centre`.
  void text_upwards(Point centre, const std::string& text, Font font, Colour colour = palette::text);
  double text_width(const std::string& text, Font font);

  /// Clips everything that `draw` draws to `box`.
  void clipped(const Box& box, const std::function<void()>& draw);

  /// All texts drawn so far, in order.
  const std::vector<std::string>& texts() const { return texts_; }

 private:
  void select(Font font);
  void paint_with(Colour colour);

  cairo_t* context_;
  std::vector<std::string> texts_;
};

/// Runs `draw` three times on a white sheet of `width` × `height` points, and writes `stem`.png (two pixels a
/// point), `stem`.svg and `stem`.pdf atomically. Cairo's SVG holds letters as outlines, which look the same
/// everywhere; their texts are also in <title> and <desc>, for search and for screen readers. Throws Error
/// (cannot be drawn or written).
void render(const std::string& stem, double width, double height, const std::string& title,
            const std::function<void(Canvas&)>& draw);

}  // namespace outerloop::cli
