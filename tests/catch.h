#pragma once
// Catch2 2 (Debian 12) and 3 (Debian 13) behind one header.
#ifdef OUTERLOOP_CATCH2_V3
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif

namespace outerloop::tests {

/// Ends the whole test executable as skipped (CTest's SKIP_RETURN_CODE), with one line that says why.
[[noreturn]] void skip(const char* why);

}  // namespace outerloop::tests
