#include "cli/support/launcher.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <system_error>
#include <vector>

namespace outerloop::cli {
namespace {

// Size of Open MPI's temporary files at start-up; scripts/launch.sh has the same number.
constexpr std::int64_t kTemporaryBytes = 4 << 20;

std::vector<std::string> folders_in_path() {
  const char* path = std::getenv("PATH");
  std::istringstream text(path ? path : "");
  std::vector<std::string> folders;
  for (std::string folder; std::getline(text, folder, ':');)
    if (!folder.empty()) folders.push_back(folder);
  return folders;
}

bool is_program(const std::string& path) {
  struct stat state = {};
  return stat(path.c_str(), &state) == 0 && S_ISREG(state.st_mode) && access(path.c_str(), X_OK) == 0;
}

std::string in_shell_quotes(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string first_line_of(const std::string& program) {
  const std::string command = "timeout 10 " + in_shell_quotes(program) + " --version 2>/dev/null </dev/null";
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return "";
  char line[256] = "";
  const bool read = std::fgets(line, sizeof line, pipe) != nullptr;
  while (std::getc(pipe) != EOF) continue;  // lets the program finish its output
  pclose(pipe);
  const std::string text = read ? line : "";
  return text.substr(0, text.find('\n'));
}

/// 4 for "mpirun (Open MPI) 4.1.4" and for "mpirun.openmpi (OpenRTE) 4.1.4"; 0 for other MPIs.
int open_mpi_version(const std::string& line) {
  for (const std::string name : {"(Open MPI) ", "(OpenRTE) "}) {
    const std::size_t at = line.find(name);
    if (at != std::string::npos) return std::atoi(line.c_str() + at + name.size());
  }
  return 0;
}

}  // namespace

std::string find_program(const std::string& name) {
  for (const auto& folder : folders_in_path())
    if (is_program(folder + "/" + name)) return folder + "/" + name;
  return "";
}

Launcher find_launcher() {
  std::vector<std::string> candidates;
  for (const char* name : {"mpirun", "mpirun.openmpi", "orterun"})
    for (const auto& folder : folders_in_path()) candidates.push_back(folder + "/" + name);
  for (const char* path :
       {"/usr/bin/mpirun.openmpi", "/usr/lib64/openmpi/bin/mpirun", "/usr/local/bin/mpirun"})
    candidates.emplace_back(path);
  Launcher launcher;
  for (const auto& candidate : candidates) {
    if (!is_program(candidate)) continue;
    const std::string line = first_line_of(candidate);
    launcher.major = open_mpi_version(line);
    if (launcher.major > 0) {
      launcher.path = candidate;
      launcher.version = line;
      return launcher;
    }
    if (launcher.first.empty()) launcher.first = candidate;
  }
  return launcher;
}

std::string problem_of_folder(const std::string& folder, std::int64_t bytes) {
  std::string name = folder + "/outerloop-XXXXXX";
  const int file = mkostemp(name.data(), O_CLOEXEC);
  if (file < 0) return std::generic_category().message(errno);
  unlink(name.c_str());
  const std::vector<char> block(1 << 16, '\0');
  int code = 0;
  for (std::int64_t written = 0; written < bytes && code == 0;) {
    const ssize_t count = write(file, block.data(), block.size());
    if (count < 0 && errno != EINTR) code = errno;
    if (count > 0) written += count;
  }
  close(file);
  return code == 0 ? "" : std::generic_category().message(code);
}

TemporaryFolderState temporary_folder() {
  const char* set = std::getenv("OMPI_MCA_orte_tmpdir_base");
  if (!set || *set == '\0') set = std::getenv("TMPDIR");
  const std::string path = set && *set != '\0' ? set : "/tmp";
  return {path, problem_of_folder(path, kTemporaryBytes)};
}

}  // namespace outerloop::cli
