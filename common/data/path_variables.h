#pragma once
// Expansion of environment variables in dataset paths, such as $SLURM_TMPDIR/pictures.
#include <string>

namespace outerloop::data {

/// Whether a path contains something to expand: $NAME, ${NAME}, or ~ at its beginning.
bool has_variables(const std::string& path);

/// The path with $NAME and ${NAME} replaced by their current values, and ~ by $HOME. A path that exists
/// literally is left unchanged. Throws InputError that names a variable which is not set.
std::string expand_variables(const std::string& path);

}  // namespace outerloop::data
