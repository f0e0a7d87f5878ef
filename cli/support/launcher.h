#pragma once
// The mpirun of Open MPI that starts runs here, among those in PATH, and the folder for its temporary files.
#include <cstdint>
#include <string>

namespace outerloop::cli {

/// An mpirun. scripts/mpirun looks for the same one, in the same order.
struct Launcher {
  std::string path;     ///< empty: there is no mpirun of Open MPI
  std::string version;  ///< the first line that it says of itself
  int major = 0;
  std::string first;  ///< the mpirun that comes first in PATH, where that is another MPI's; or empty
};

/// Of the mpirun, mpirun.openmpi and orterun in PATH, and of those where distributions put them, the first
/// that calls itself Open MPI's. One that does not answer within ten seconds is passed over.
Launcher find_launcher();

/// The first program of that name in PATH; empty: none.
std::string find_program(const std::string& name);

/// The folder for temporary files (TMPDIR, or /tmp) as mpirun needs it.
struct TemporaryFolderState {
  std::string path;
  std::string problem;  ///< why mpirun cannot use it; empty: it can
};
TemporaryFolderState temporary_folder();

/// Why files cannot be made in `folder`, by writing one of `bytes`; empty where they can.
std::string problem_of_folder(const std::string& folder, std::int64_t bytes);

}  // namespace outerloop::cli
