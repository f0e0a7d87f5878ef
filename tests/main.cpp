// main of every test executable. It asks Catch2's header for its implementation, so it cannot take the
// precompiled one.
#ifdef OUTERLOOP_CATCH2_V3
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

int main(int argc, char** argv) { return Catch::Session().run(argc, argv) == 0 ? 0 : 1; }
