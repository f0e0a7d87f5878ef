#pragma once
// Loads libouterloop_reference, the only library that links LibTorch, when it is asked for.

namespace outerloop::rule {

/// The address of a symbol in libouterloop_reference, which stays loaded for the rest of the process. Throws
/// InputError, which begins with `what`, where there is no such library or it is of another version.
void* reference_symbol(const char* symbol, const char* what);

}  // namespace outerloop::rule
