#include "cli/figures/canvas.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <cairo.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "common/base/error.h"
#include "common/store/atomic_file.h"

namespace outerloop::cli {
namespace {

constexpr double kPixelsPerPoint = 2.0;
constexpr const char* kFamily = "sans-serif";  // fontconfig selects the best installed font

using Surface = std::unique_ptr<cairo_surface_t, void (*)(cairo_surface_t*)>;
using Context = std::unique_ptr<cairo_t, void (*)(cairo_t*)>;

void check(cairo_status_t status, const std::string& what) {
  if (status != CAIRO_STATUS_SUCCESS)
    throw Error(what + ": cannot be drawn: " + cairo_status_to_string(status));
}

cairo_status_t append(void* closure, const unsigned char* bytes, unsigned count) {
  static_cast<std::string*>(closure)->append(reinterpret_cast<const char*>(bytes), count);
  return CAIRO_STATUS_SUCCESS;
}

/// Runs `draw` on the surface; returns the texts it drew.
std::vector<std::string> draw_on(cairo_surface_t* surface, const Box& sheet, const std::string& what,
                                 const std::function<void(Canvas&)>& draw) {
  check(cairo_surface_status(surface), what);
  const Context context(cairo_create(surface), cairo_destroy);
  Canvas canvas(context.get());
  canvas.fill(sheet, palette::white);
  draw(canvas);
  check(cairo_status(context.get()), what);
  return canvas.texts();
}

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '&')
      result += "&amp;";
    else if (c == '<')
      result += "&lt;";
    else if (c == '>')
      result += "&gt;";
    else if (static_cast<unsigned char>(c) >= 0x20)  // XML has no control characters
      result += c;
  }
  return result;
}

/// Inserts <title> and <desc> after the opening <svg ...>.
void describe(std::string& svg, const std::string& title, const std::vector<std::string>& texts) {
  const std::size_t opening = svg.find("<svg");
  const std::size_t end = opening == std::string::npos ? opening : svg.find('>', opening);
  OUTERLOOP_CHECK(end != std::string::npos, "Cairo made an SVG without its opening tag");
  std::string description = "\n<title>" + escaped(title) + "</title>\n<desc>";
  for (const auto& text : texts) description += "\n" + escaped(text);
  svg.insert(end + 1, description + "\n</desc>");
}

}  // namespace

void Canvas::paint_with(Colour colour) {
  cairo_set_source_rgba(context_, colour.red, colour.green, colour.blue, colour.alpha);
}

void Canvas::line(Point from, Point to, Colour colour, double width, bool dashed) {
  const double dashes[] = {4.0, 3.0};
  cairo_set_dash(context_, dashes, dashed ? 2 : 0, 0.0);
  polyline({from, to}, colour, width);
  cairo_set_dash(context_, dashes, 0, 0.0);
}

void Canvas::polyline(const std::vector<Point>& points, Colour colour, double width) {
  if (points.empty()) return;
  paint_with(colour);
  cairo_set_line_width(context_, width);
  cairo_set_line_join(context_, CAIRO_LINE_JOIN_ROUND);
  // A single point is drawn as a dot, which is visible only with a round line end.
  cairo_set_line_cap(context_, points.size() == 1 ? CAIRO_LINE_CAP_ROUND : CAIRO_LINE_CAP_BUTT);
  cairo_move_to(context_, points.front().first, points.front().second);
  for (const auto& [x, y] : points) cairo_line_to(context_, x, y);
  cairo_stroke(context_);
}

void Canvas::fill(const Box& box, Colour colour) {
  paint_with(colour);
  cairo_rectangle(context_, box.left, box.top, box.width, box.height);
  cairo_fill(context_);
}

void Canvas::fill_polygon(const std::vector<Point>& points, Colour colour) {
  if (points.empty()) return;
  paint_with(colour);
  cairo_move_to(context_, points.front().first, points.front().second);
  for (const auto& [x, y] : points) cairo_line_to(context_, x, y);
  cairo_close_path(context_);
  cairo_fill(context_);
}

void Canvas::dot(Point centre, double radius, Colour colour) {
  constexpr double kTurn = 6.28318530717958647692;
  paint_with(colour);
  cairo_new_sub_path(context_);
  cairo_arc(context_, centre.first, centre.second, radius, 0.0, kTurn);
  cairo_fill(context_);
}

void Canvas::image(const Box& box, std::int64_t rows, std::int64_t columns,
                   const std::vector<double>& greys) {
  OUTERLOOP_CHECK(rows > 0 && columns > 0 && greys.size() == static_cast<std::size_t>(rows * columns),
                  "an image's greys are not as many as its pixels");
  const Surface surface(
      cairo_image_surface_create(CAIRO_FORMAT_RGB24, static_cast<int>(columns), static_cast<int>(rows)),
      cairo_surface_destroy);
  check(cairo_surface_status(surface.get()), "image");
  unsigned char* pixels = cairo_image_surface_get_data(surface.get());
  const std::int64_t stride = cairo_image_surface_get_stride(surface.get());
  for (std::int64_t row = 0; row < rows; ++row) {
    auto* to = reinterpret_cast<std::uint32_t*>(pixels + row * stride);
    for (std::int64_t column = 0; column < columns; ++column) {
      const double grey = greys[static_cast<std::size_t>(row * columns + column)];
      const auto level = static_cast<std::uint32_t>(std::lround(255.0 * std::clamp(grey, 0.0, 1.0)));
      to[column] = level << 16 | level << 8 | level;
    }
  }
  cairo_surface_mark_dirty(surface.get());
  cairo_save(context_);
  cairo_translate(context_, box.left, box.top);
  cairo_scale(context_, box.width / static_cast<double>(columns), box.height / static_cast<double>(rows));
  cairo_set_source_surface(context_, surface.get(), 0.0, 0.0);
  cairo_pattern_set_filter(cairo_get_source(context_), CAIRO_FILTER_NEAREST);
  cairo_paint(context_);
  cairo_restore(context_);
}

void Canvas::select(Font font) {
  cairo_select_font_face(context_, kFamily, CAIRO_FONT_SLANT_NORMAL,
                         font.bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(context_, font.size);
}

double Canvas::text_width(const std::string& text, Font font) {
  select(font);
  cairo_text_extents_t extents;
  cairo_text_extents(context_, text.c_str(), &extents);
  return extents.x_advance;
}

void Canvas::text(Point baseline, const std::string& text, Font font, Colour colour, Align align) {
  const double shift =
      align == Align::left ? 0.0 : text_width(text, font) * (align == Align::centre ? 0.5 : 1.0);
  select(font);
  paint_with(colour);
  cairo_move_to(context_, baseline.first - shift, baseline.second);
  cairo_show_text(context_, text.c_str());
  texts_.push_back(text);
}

void Canvas::text_upwards(Point centre, const std::string& text, Font font, Colour colour) {
  constexpr double kQuarterTurn = 1.57079632679489661923;
  cairo_save(context_);
  cairo_translate(context_, centre.first, centre.second);
  cairo_rotate(context_, -kQuarterTurn);
  this->text({0.0, 0.35 * font.size}, text, font, colour, Align::centre);
  cairo_restore(context_);
}

void Canvas::clipped(const Box& box, const std::function<void()>& draw) {
  cairo_save(context_);
  cairo_rectangle(context_, box.left, box.top, box.width, box.height);
  cairo_clip(context_);
  draw();
  cairo_restore(context_);
}

void render(const std::string& stem, double width, double height, const std::string& title,
            const std::function<void(Canvas&)>& draw) {
  const Box sheet{0.0, 0.0, width, height};
  const auto pixels = [](double points) { return static_cast<int>(std::lround(points * kPixelsPerPoint)); };
  std::string png, svg, pdf;
  {
    const Surface surface(cairo_image_surface_create(CAIRO_FORMAT_RGB24, pixels(width), pixels(height)),
                          cairo_surface_destroy);
    cairo_surface_set_device_scale(surface.get(), kPixelsPerPoint, kPixelsPerPoint);
    draw_on(surface.get(), sheet, stem + ".png", draw);
    check(cairo_surface_write_to_png_stream(surface.get(), append, &png), stem + ".png");
  }
  std::vector<std::string> texts;
  {
    const Surface surface(cairo_svg_surface_create_for_stream(append, &svg, width, height),
                          cairo_surface_destroy);
    texts = draw_on(surface.get(), sheet, stem + ".svg", draw);
    cairo_surface_finish(surface.get());
    check(cairo_surface_status(surface.get()), stem + ".svg");
  }
  describe(svg, title, texts);
  {
    const Surface surface(cairo_pdf_surface_create_for_stream(append, &pdf, width, height),
                          cairo_surface_destroy);
    cairo_pdf_surface_set_metadata(surface.get(), CAIRO_PDF_METADATA_TITLE, title.c_str());
    // Without the time of day: the same figure is the same file.
    cairo_pdf_surface_set_metadata(surface.get(), CAIRO_PDF_METADATA_CREATE_DATE, "");
    draw_on(surface.get(), sheet, stem + ".pdf", draw);
    cairo_surface_finish(surface.get());
    check(cairo_surface_status(surface.get()), stem + ".pdf");
  }
  store::write_file_atomically(stem + ".png", png);
  store::write_file_atomically(stem + ".svg", svg);
  store::write_file_atomically(stem + ".pdf", pdf);
}

}  // namespace outerloop::cli
