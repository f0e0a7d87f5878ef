#pragma once
// Parses an HDF5 file in a child process. The HDF5 library crashes on some malformed files (1.10 and 1.14
// alike), and a SHA-256 says who damaged a file as little as who wrote it: a rule.h5 may come from anyone.
#include <cstdint>
#include <vector>

#include "common/store/document.h"

namespace outerloop::store {

/// decode_hdf5 (hdf5.h) in a child process, which sends the document back; a crash or an endless loop of the
/// library ends the child alone. Throws Error: what decode_hdf5 throws, or that the library crashed on the
/// file or did not end within a minute.
Document decode_hdf5_isolated(const std::vector<std::uint8_t>& bytes);

/// Its two halves, for callers that keep a child for many files: what the child sends of a file (the
/// document, or why there is none), and the document that this is. The second throws Error.
std::vector<std::uint8_t> hdf5_message(const std::vector<std::uint8_t>& file);
Document document_of_message(const std::vector<std::uint8_t>& message);

}  // namespace outerloop::store
