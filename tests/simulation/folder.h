#pragma once
// Checkpoint folders of a simulated run, with writes that may fail when the coordinator dies.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "common/store/files.h"
#include "tests/simulation/scenario.h"

namespace outerloop::simulation {

/// Thrown when the coordinator's process dies.
struct Died {};

/// Death inside a write, at any byte of it.
struct Cut {
  double at = 0.0;       ///< share of the file's bytes that exist, 0 to 1
  bool renamed = false;  ///< under the final name: a power failure, not a killed process
};

class Folder {
 public:
  virtual ~Folder() = default;
  /// Keeps the newest `keep`. Throws Died if the write is truncated.
  virtual void write(const store::Checkpoint& checkpoint, const std::optional<Cut>& cut) = 0;
  /// The newest complete checkpoint.
  virtual std::optional<store::Checkpoint> read_latest() = 0;

 protected:
  static constexpr std::int64_t kKeep = 2;
};

/// In memory, with a SHA-256 in front, as in our files.
std::unique_ptr<Folder> make_memory_folder();
/// Real files, using store::CheckpointFolder.
std::unique_ptr<Folder> make_disk_folder();

}  // namespace outerloop::simulation
