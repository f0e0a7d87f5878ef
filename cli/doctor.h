#pragma once
// outerloop doctor: what is right and wrong for a run on this machine. The machine is read first
// (doctor_machine.h), then judged here, so that tests can judge machines that are not here.
#include <string>
#include <vector>

#include "cli/doctor_machine.h"
#include "cli/support/command.h"

namespace outerloop::cli {

/// Adds the command to `app`. It prints the findings, and returns 0, warnings or not. Throws InputError where
/// the folder that run directories would be in does not exist.
Command add_doctor(CLI::App& app);

struct Finding {
  std::string name;
  bool ok = true;
  std::string what;
  std::string remedy;  ///< of a warning: what to do
};

/// One finding per line of the screen, always in the same order.
std::vector<Finding> diagnose(const Machine& machine);

}  // namespace outerloop::cli
