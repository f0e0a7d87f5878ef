#pragma once
// Byte layout of the silent connection's greeting, for both sides.
#include <cstddef>
#include <cstdint>

namespace outerloop::net {

inline constexpr char kGreetingMagic[] = "OLS1";
inline constexpr std::size_t kMagicBytes = 4;
inline constexpr std::size_t kHalfToken = 32;  // characters

/// Eight bytes, little-endian.
inline std::uint64_t number_in(const char* bytes) {
  std::uint64_t number = 0;
  for (int i = 7; i >= 0; --i) number = number << 8 | static_cast<unsigned char>(bytes[i]);
  return number;
}

inline void put_number(std::uint64_t number, char* bytes) {
  for (int i = 0; i < 8; ++i, number >>= 8) bytes[i] = static_cast<char>(number & 255);
}

}  // namespace outerloop::net
