#pragma once
// Where a simulated run keeps its checkpoints, and how a write may end when the coordinator dies in it.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "common/store/files.h"
#include "tests/simulation/scenario.h"

namespace outerloop::simulation {

/// The coordinator's process is gone.
struct Died {};

/// Death inside a write, at any byte of it.
struct Cut {
  double at = 0.0;       ///< part of the file's bytes that is there, 0 to 1
  bool renamed = false;  ///< they are under the final name: the machine lost power, not the process
};

class Folder {
 public:
  virtual ~Folder() = default;
  /// Keeps the newest `keep`. Throws Died where the write is cut.
  virtual void write(const store::Checkpoint& checkpoint, const std::optional<Cut>& cut) = 0;
  /// The newest that is whole.
  virtual std::optional<store::Checkpoint> read_latest() = 0;

 protected:
  static constexpr std::int64_t kKeep = 2;
};

/// In memory, with a SHA-256 in front, as our files have one.
std::unique_ptr<Folder> make_memory_folder();
/// Real files by store::CheckpointFolder.
std::unique_ptr<Folder> make_disk_folder();

}  // namespace outerloop::simulation
