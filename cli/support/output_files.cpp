#include "cli/support/output_files.h"

#include <filesystem>

#include "common/base/error.h"

namespace outerloop::cli {
namespace {

namespace fs = std::filesystem;

bool same_file(const std::string& a, const std::string& b) {
  std::error_code error;
  if (fs::equivalent(a, b, error)) return true;
  // Those that do not exist yet.
  const fs::path one = fs::weakly_canonical(a, error);
  if (error) return false;
  const fs::path other = fs::weakly_canonical(b, error);
  return !error && one == other;
}

/// The name, and those of the file in KIND:FILE, FILE:/dataset and KIND:FILE:/dataset.
std::vector<std::string> possible_files(const std::string& name) {
  std::vector<std::string> files = {name};
  const std::size_t first = name.find(':'), last = name.rfind(':');
  if (first == std::string::npos) return files;
  files.push_back(name.substr(first + 1));
  files.push_back(name.substr(0, last));
  if (last > first) files.push_back(name.substr(first + 1, last - first - 1));
  return files;
}

}  // namespace

void require_distinct(const std::vector<std::string>& read, const std::vector<std::string>& written) {
  for (std::size_t i = 0; i < written.size(); ++i) {
    if (written[i].empty()) continue;
    for (const auto& name : read)
      for (const auto& file : possible_files(name))
        if (!file.empty() && same_file(file, written[i]))
          throw InputError(written[i] + ": would be written over while it is read (" + name +
                           "); give another name for the output");
    for (std::size_t j = 0; j < i; ++j)
      if (!written[j].empty() && same_file(written[j], written[i]))
        throw InputError(written[i] +
                         ": two outputs of one command would be written to it; give them different names");
  }
}

}  // namespace outerloop::cli
