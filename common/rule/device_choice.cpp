#include "common/rule/device_choice.h"

#include <cstdlib>

#include "common/base/error.h"

namespace outerloop::rule {
namespace {

constexpr char kNumbered[] = "cuda:";

/// "3 visible devices, cuda:0 to cuda:2"
std::string visible_devices(int visible) {
  if (visible == 0) {
    const char* limit = std::getenv("CUDA_VISIBLE_DEVICES");
    return limit == nullptr ? "no visible device"
                            : "no visible device; CUDA_VISIBLE_DEVICES is '" + std::string(limit) + "'";
  }
  if (visible == 1) return "one visible device, cuda:0";
  return std::to_string(visible) + " visible devices, cuda:0 to cuda:" + std::to_string(visible - 1);
}

/// i of cuda:i, two digits at most; -1 for anything else.
int number_of(const std::string& device) {
  const std::string prefix = kNumbered;
  if (device.rfind(prefix, 0) != 0) return -1;
  const std::string digits = device.substr(prefix.size());
  if (digits.empty() || digits.size() > 2 || digits.find_first_not_of("0123456789") != std::string::npos)
    return -1;
  return std::stoi(digits);
}

}  // namespace

bool is_cpu(const std::string& device) {
  if (device == "cpu") return true;
  if (device != "cuda" && number_of(device) < 0)
    throw InputError("device: '" + device + "' is unknown; there are cpu, cuda and cuda:i");
  return false;
}

int device_of_worker(const std::string& device, int worker, int visible) {
  if (is_cpu(device)) return -1;
  const int number = number_of(device);
  if (visible < 1 || number >= visible)
    throw InputError("device: cuda asked for" + (number < 0 ? "" : ", as " + device) +
                     ", but this host has " + visible_devices(visible));
  return number < 0 ? worker % visible : number;
}

}  // namespace outerloop::rule
