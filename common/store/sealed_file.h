#pragma once
// The 512-byte user block in front of every file: magic, length, and the SHA-256 of all bytes after it. It is
// checked before the HDF5 library sees a byte. Layout in bytes (docs/checkpoints.md), little-endian:
//   0  magic "outerloop HDF5\r\n"    16  format version, uint32     20  zero, uint32
//   24 length of all that follows, uint64     32  its SHA-256, 32 bytes     64  zero up to 511
// Magic, length and SHA-256 keep their offsets in every later version.
#include <cstdint>
#include <string>
#include <vector>

#include "common/base/error.h"

namespace outerloop::store {

/// Fills in the user block of `bytes` (the first 512). Throws Error where `bytes` is shorter.
void seal(std::vector<std::uint8_t>& bytes, std::uint32_t format_version);

/// A file could not be read; its content may be intact.
class UnreadableError : public InputError {
 public:
  using InputError::InputError;
};

/// Reads the whole file `path` and verifies its user block. Throws UnreadableError for system errors (no such
/// file, a read error), InputError: not a regular file, not an Outerloop file, too short or too long, SHA-256
/// differs, newer than `newest_version`.
std::vector<std::uint8_t> read_sealed(const std::string& path, std::uint32_t newest_version);

}  // namespace outerloop::store
