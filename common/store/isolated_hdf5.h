#pragma once
// Parses an HDF5 file in a child process. The HDF5 library crashes on some malformed files (both 1.10 and
// 1.14). A SHA-256 detects corruption but does not authenticate the author, so a rule.h5 is untrusted.
#include <cstdint>
#include <vector>

#include "common/store/document.h"

namespace outerloop::store {

/// decode_hdf5 (hdf5.h) in a child process, which sends the document back; a crash or an endless loop of the
/// library ends only the child. Throws Error: what decode_hdf5 throws, or that the library crashed on the
/// file or did not end within a minute.
Document decode_hdf5_isolated(const std::vector<std::uint8_t>& bytes);

/// The two halves, for callers that reuse one child process for many files: hdf5_message returns the child's
/// answer for a file (the document, or the error), and document_of_message the document in that answer. The
/// latter throws Error.
std::vector<std::uint8_t> hdf5_message(const std::vector<std::uint8_t>& file);
Document document_of_message(const std::vector<std::uint8_t>& message);

}  // namespace outerloop::store
