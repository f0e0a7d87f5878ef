#include "common/rule/engines/device.h"

#include "common/rule/device_choice.h"
#include "common/rule/engines/reference_library.h"
#include "common/rule/reference/export.h"

namespace outerloop::rule {

std::string device_description(const EngineOptions& options) {
  if (is_cpu(options.device)) return "cpu";
  static const auto describe = reinterpret_cast<decltype(&outerloop_describe_device)>(
      reference_symbol("outerloop_describe_device", "device: cuda"));
  std::string text;
  describe(&options, &text);
  return text;
}

}  // namespace outerloop::rule
