#pragma once
// File names in a run directory: those permitted in a new run's folder, and those written before the first
// checkpoint.
#include <string>

namespace outerloop::coordinator {

/// Whether a folder without a run may hold this file: a lock, join.json, and files that file systems and
/// desktops create by themselves.
bool may_be_found(const std::string& name);

/// Whether a start writes this file before its first checkpoint; the lock does not count.
bool is_of_a_start(const std::string& name);

}  // namespace outerloop::coordinator
