// JPEG decoder using libjpeg. Its errors leave by longjmp, so the code between setjmp and the library must
// not hold objects with destructors.
#include <csetjmp>
#include <cstdio>
#include <string>

// Do not sort: jpeglib.h needs cstdio before it, jerror.h needs jpeglib.h.
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include "common/base/error.h"
#include "common/data/image.h"

namespace outerloop::data {
namespace {

// An all-zero 8 × 8 block takes at least a quarter of a byte with Huffman tables, less in progressive scans.
constexpr std::int64_t kPixelsPerByte = 1024;

/// State shared by the callbacks. The library's struct comes first: callbacks receive a pointer to it.
struct Decoder {
  jpeg_error_mgr errors;
  jpeg_decompress_struct jpeg;
  std::jmp_buf on_error;
  char message[JMSG_LENGTH_MAX];
};

void leave(j_common_ptr jpeg) {
  auto* decoder = reinterpret_cast<Decoder*>(jpeg->err);
  jpeg->err->format_message(jpeg, decoder->message);
  std::longjmp(decoder->on_error, 1);
}

/// Warnings about damaged data are errors here: libjpeg would fill in grey. Bytes between segments are
/// harmless.
void on_message(j_common_ptr jpeg, int level) {
  if (level < 0 && jpeg->err->msg_code != JWRN_EXTRANEOUS_DATA) leave(jpeg);
}

bool read_header(Decoder& decoder, const unsigned char* bytes, unsigned long count) {
  if (setjmp(decoder.on_error) != 0) return false;
  jpeg_create_decompress(&decoder.jpeg);
  jpeg_mem_src(&decoder.jpeg, bytes, count);
  jpeg_read_header(&decoder.jpeg, TRUE);
  return true;
}

bool read_rows(Decoder& decoder, unsigned char* pixels) {
  if (setjmp(decoder.on_error) != 0) return false;
  jpeg_start_decompress(&decoder.jpeg);
  while (decoder.jpeg.output_scanline < decoder.jpeg.output_height) {
    JSAMPROW row =
        pixels + static_cast<std::size_t>(decoder.jpeg.output_scanline) * decoder.jpeg.output_width;
    jpeg_read_scanlines(&decoder.jpeg, &row, 1);
  }
  jpeg_finish_decompress(&decoder.jpeg);
  return true;
}

GreyImage decode(Decoder& decoder, const std::vector<std::uint8_t>& bytes, const std::string& name) {
  const auto fail = [&]() -> GreyImage {
    throw InputError(name + ": damaged JPEG (" + decoder.message + "): fetch the file again");
  };
  if (!read_header(decoder, bytes.data(), static_cast<unsigned long>(bytes.size()))) return fail();
  const J_COLOR_SPACE space = decoder.jpeg.jpeg_color_space;
  if (space != JCS_GRAYSCALE && space != JCS_YCbCr && space != JCS_RGB)
    throw InputError(name + ": JPEG in CMYK or an unknown colour space: convert it to RGB");
  GreyImage image;
  image.width = decoder.jpeg.image_width;
  image.height = decoder.jpeg.image_height;
  check_picture_size(image.width, image.height, bytes.size(), kPixelsPerByte, name);
  decoder.jpeg.out_color_space = JCS_GRAYSCALE;  // Y' as stored: the luminance of BT.601
  image.pixels.resize(static_cast<std::size_t>(image.width * image.height));
  if (!read_rows(decoder, image.pixels.data())) return fail();
  return image;
}

}  // namespace

std::string jpeg_version() {
#ifdef LIBJPEG_TURBO_VERSION_NUMBER
  return "libjpeg-turbo " + std::to_string(LIBJPEG_TURBO_VERSION_NUMBER);
#else
  return "libjpeg " + std::to_string(JPEG_LIB_VERSION);
#endif
}

GreyImage decode_jpeg(const std::vector<std::uint8_t>& bytes, const std::string& name) {
  Decoder decoder{};
  decoder.jpeg.err = jpeg_std_error(&decoder.errors);
  decoder.errors.error_exit = leave;
  decoder.errors.emit_message = on_message;
  struct Cleanup {
    jpeg_decompress_struct* jpeg;
    ~Cleanup() { jpeg_destroy_decompress(jpeg); }
  } cleanup{&decoder.jpeg};
  return decode(decoder, bytes, name);
}

}  // namespace outerloop::data
