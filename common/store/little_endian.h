#pragma once
// Integers as little-endian bytes.
#include <cstddef>
#include <string>

namespace outerloop::store {

/// The bytes of a whole number, the lowest first.
template <class Integer>
std::string little_endian(Integer value) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof value; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  return bytes;
}

}  // namespace outerloop::store
