#pragma once
// The device that an engine of these options computes on, in words.
#include <string>

#include "common/rule/engine.h"

namespace outerloop::rule {

/// "cpu", or e.g. "cuda:1 with 139.8 GiB". Throws InputError where the device is not there.
std::string device_description(const EngineOptions& options);

}  // namespace outerloop::rule
