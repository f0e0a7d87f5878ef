#pragma once
// Translates LibTorch's exceptions to Error.
#include <c10/util/Exception.h>

#include <string>

#include "common/base/error.h"

namespace outerloop::rule::reference {

/// Calls f; rethrows LibTorch's exceptions as Error.
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
