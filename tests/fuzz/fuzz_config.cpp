// A configuration in text format and, each behind a NUL, values of --set.
#include <vector>

#include "common/base/error.h"
#include "common/config/schema.h"
#include "common/config/settings.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
  using namespace outerloop;
  std::vector<std::string> parts(1);
  for (std::size_t i = 0; i < count; ++i) {
    if (bytes[i] == 0)
      parts.emplace_back();
    else
      parts.back() += static_cast<char>(bytes[i]);
  }
  const std::string text = parts.front();
  parts.erase(parts.begin());
  try {
    const auto settings = config::settings_from_text(text, "fuzz", parts);
    const auto again = config::settings_from_text(settings.text(), "again", {});
    tests::require(again.text() == settings.text(), "what a run keeps of its configuration reads back");
    config::check_resume_overrides(parts);
  } catch (const Error& error) {
    tests::require(error.what()[0] != '\0', "a refusal says why");
  }
  return 0;
}
