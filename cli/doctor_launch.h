#pragma once
// Findings of outerloop doctor about the start of several ranks: host name, temporary folder, launcher,
// Slurm.
#include <string>

#include "cli/doctor.h"

namespace outerloop::cli {

/// 4 for "Open MPI v4.1.4" and for "mpirun (Open MPI) 4.1.4"; 0 without a number.
int major_version(const std::string& text);

/// The recommended number of ranks here, and a text about the cores and their limits.
int ranks_here(const Machine& machine);
std::string cores_text(const Machine& machine);

/// Whether scripts/mpirun can start several ranks here.
bool can_launch(const Machine& machine);

Finding host_name_finding(const Machine& machine);
Finding temporary_folder_finding(const Machine& machine);
Finding launcher_finding(const Machine& machine);
Finding slurm_finding(const Machine& machine);

}  // namespace outerloop::cli
