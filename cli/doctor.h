#pragma once
// outerloop doctor: checks whether this machine is ready for a run. doctor_machine.h reads the machine; this
// file judges it, so that tests can judge other machines.
#include <string>
#include <vector>

#include "cli/doctor_machine.h"
#include "cli/support/command.h"

namespace outerloop::cli {

/// Adds the command to `app`. It prints the findings, and returns 0 even with warnings. Throws InputError if
/// the folder for run directories does not exist.
Command add_doctor(CLI::App& app);

struct Finding {
  std::string name;
  bool ok = true;
  std::string what;
  std::string remedy;  ///< of a warning
};

/// One finding per line of the screen, always in the same order.
std::vector<Finding> diagnose(const Machine& machine);

}  // namespace outerloop::cli
