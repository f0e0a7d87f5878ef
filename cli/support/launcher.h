#pragma once
// Finds Open MPI's mpirun among those in PATH, and checks the folder for its temporary files.
#include <cstdint>
#include <string>

namespace outerloop::cli {

/// An mpirun. scripts/mpirun searches in the same order.
struct Launcher {
  std::string path;     ///< empty: there is no mpirun of Open MPI
  std::string version;  ///< the first line of its version text
  int major = 0;
  std::string first;  ///< the first mpirun in PATH, if it belongs to another MPI; or empty
};

/// The first program that identifies itself as Open MPI's, among mpirun, mpirun.openmpi and orterun in PATH
/// and in the folders where distributions install them. One that does not answer within ten seconds is
/// skipped.
Launcher find_launcher();

/// The first program of that name in PATH; empty: none.
std::string find_program(const std::string& name);

/// The folder for temporary files (TMPDIR, or /tmp) as mpirun needs it.
struct TemporaryFolderState {
  std::string path;
  std::string problem;  ///< why mpirun cannot use it; empty: usable
};
TemporaryFolderState temporary_folder();

/// Tests `folder` by writing a file of `bytes`. Returns why that fails; empty if it succeeds.
std::string problem_of_folder(const std::string& folder, std::int64_t bytes);

}  // namespace outerloop::cli
