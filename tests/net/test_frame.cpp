// The wire's framing: what is written reads back, and what is no frame is refused.
#include <cmath>
#include <cstring>

#include "common/base/error.h"
#include "common/net/transport.h"
#include "tests/catch.h"

using namespace outerloop;

TEST_CASE("frames read back") {
  for (const std::size_t floats : {0u, 1u, 1000u}) {
    net::Frame frame{std::string("head\0er", 7), std::vector<float>(floats, 1.5f)};
    if (floats > 0) frame.floats.back() = -0.0f;
    const auto again = net::decode(net::encode(frame));
    CHECK(again.header == frame.header);
    REQUIRE(again.floats.size() == floats);
    CHECK(
        (floats == 0 || std::memcmp(again.floats.data(), frame.floats.data(), floats * sizeof(float)) == 0));
    // Without a copy, and into memory that held something else.
    std::string bytes(7, 'x');
    net::encode(frame, bytes);
    CHECK(bytes == net::encode(frame));
    const auto seen = net::view(bytes);
    CHECK(seen.header == frame.header);
    REQUIRE(seen.floats.size() == floats);
    if (floats > 0) CHECK((seen.floats[0] == frame.floats[0] && std::signbit(seen.floats[floats - 1])));
  }
}

TEST_CASE("every cut and every wrong length is refused") {
  const std::string bytes = net::encode({"header", {1.0f, 2.0f, 3.0f}});
  for (std::size_t length = 0; length < bytes.size(); ++length)
    CHECK_THROWS_AS(net::decode(bytes.substr(0, length)), InputError);
  CHECK_THROWS_AS(net::decode(bytes + "x"), InputError);
  for (std::size_t i = 0; i < 16; ++i) {  // magic and both lengths
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 0x80);
    CHECK_THROWS_AS(net::decode(changed), InputError);
  }
}
