#include "common/base/text.h"

#include <string_view>
#include <utility>

#include "common/base/error.h"

namespace outerloop::base {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kUtf8 = "\xEF\xBB\xBF"sv;
// UTF-32's little-endian mark begins with UTF-16's.
constexpr std::pair<std::string_view, const char*> kOthers[] = {{"\xFF\xFE\0\0"sv, "UTF-32"},
                                                                {"\0\0\xFE\xFF"sv, "UTF-32"},
                                                                {"\xFF\xFE"sv, "UTF-16"},
                                                                {"\xFE\xFF"sv, "UTF-16"}};

bool begins_with(const std::string& text, std::string_view mark) {
  return text.compare(0, mark.size(), mark) == 0;
}

}  // namespace

std::string without_byte_order_mark(std::string text, const std::string& name) {
  for (const auto& [mark, encoding] : kOthers)
    if (begins_with(text, mark))
      throw InputError(name + ": its byte order mark says that it is " + encoding + ": save it as UTF-8");
  if (begins_with(text, kUtf8)) text.erase(0, kUtf8.size());
  return text;
}

}  // namespace outerloop::base
