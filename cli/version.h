#pragma once
// Version and git revision of this program.
#include <string>

namespace outerloop::cli {

/// e.g. "0.1.0"
std::string version();

/// The git revision of the build, with "-dirty" appended if the tree had changes; "unknown" outside git.
std::string git_revision();

}  // namespace outerloop::cli
