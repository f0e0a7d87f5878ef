// main of every test executable.
#ifdef OUTERLOOP_CATCH2_V3
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#endif
#include <cstdio>
#include <cstdlib>

#include "tests/catch.h"

namespace outerloop::tests {

void skip(const char* why) {
  std::printf("SKIPPED: %s\n", why);
  std::fflush(stdout);
  std::_Exit(77);
}

}  // namespace outerloop::tests

int main(int argc, char** argv) { return Catch::Session().run(argc, argv) == 0 ? 0 : 1; }
