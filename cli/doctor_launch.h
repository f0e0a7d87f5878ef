#pragma once
// What outerloop doctor says of the start of several ranks: host name, temporary folder, launcher, Slurm.
#include <string>

#include "cli/doctor.h"

namespace outerloop::cli {

/// 4 of "Open MPI v4.1.4" and of "mpirun (Open MPI) 4.1.4"; 0 where there is no number.
int major_version(const std::string& text);

/// How many ranks a run here is best started with, and the cores in words, with what limits them.
int ranks_here(const Machine& machine);
std::string cores_text(const Machine& machine);

/// Whether scripts/mpirun can start several ranks as things are.
bool can_launch(const Machine& machine);

Finding host_name_finding(const Machine& machine);
Finding temporary_folder_finding(const Machine& machine);
Finding launcher_finding(const Machine& machine);
Finding slurm_finding(const Machine& machine);

}  // namespace outerloop::cli
