#pragma once
// Names in a run directory: what a new run may find there, and what a start writes before it has a
// checkpoint.
#include <string>

namespace outerloop::coordinator {

/// What may be in a folder that no run is in: a lock, how others joined, and what file systems and desktops
/// put there by themselves.
bool may_be_found(const std::string& name);

/// What a start writes before its first checkpoint, the lock apart.
bool is_of_a_start(const std::string& name);

}  // namespace outerloop::coordinator
