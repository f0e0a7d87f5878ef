#pragma once
// Loads libouterloop_reference, the only library that links LibTorch, on demand.

namespace outerloop::rule {

/// The address of a symbol in libouterloop_reference, which stays loaded for the rest of the process. Throws
/// InputError, which begins with `what`, where the library is missing or has another version.
void* reference_symbol(const char* symbol, const char* what);

}  // namespace outerloop::rule
