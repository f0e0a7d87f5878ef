#pragma once
// Environment variables in paths of datasets, such as $SLURM_TMPDIR/pictures.
#include <string>

namespace outerloop::data {

/// Whether a path says more than its own letters: $NAME, ${NAME}, or ~ at its beginning.
bool has_variables(const std::string& path);

/// The path with $NAME and ${NAME} replaced by what the environment says now, and ~ by $HOME. What exists as
/// it is written stays. Throws InputError that names a variable which is not set.
std::string expand_variables(const std::string& path);

}  // namespace outerloop::data
