#pragma once
// Error messages in tests.
#include <string>

#include "common/base/error.h"

namespace outerloop::tests {

/// what() of the InputError that `action` throws; "" where it throws none.
template <class Action>
std::string refusal(const Action& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace outerloop::tests
