#pragma once
// LibTorch's exceptions as Error.
#include <c10/util/Exception.h>

#include <string>

#include "common/base/error.h"

namespace outerloop::rule::reference {

/// Turns LibTorch's exceptions into ours.
template <class F>
auto translated(const F& f) {
  try {
    return f();
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    throw Error("reference engine: LibTorch: " + text.substr(0, text.find('\n')));
  }
}

}  // namespace outerloop::rule::reference
