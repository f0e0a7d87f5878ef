#pragma once
// Shared by the store's tests: a temporary folder, and small files with every field filled.
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "common/store/files.h"
#include "tests/refusal.h"
#include "tests/temporary_folder.h"

namespace outerloop::tests {

/// A fresh folder, removed at the end of the test.
class Folder : public TemporaryFolder {
 public:
  std::vector<std::string> names() const;  ///< of its entries, sorted
};

std::string read_bytes(const std::string& path);
void write_bytes(const std::string& path, const std::string& bytes);

/// Three tensors whose names are not in byte order, with values that float32 represents exactly.
store::RuleFile sample_rule();
/// With Adam, history (including a NaN), two streams of which one has not begun, counters and dataset hashes.
store::Checkpoint sample_checkpoint(std::int64_t update = 7);

}  // namespace outerloop::tests
