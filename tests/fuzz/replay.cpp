// main of a fuzz target where no fuzzer is linked in: runs every file of the folders named, whole, cut and
// with bits flipped, so that every build and every compiler goes through what was once found.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/fuzz/input.h"

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kCuts = 64;
constexpr std::size_t kFlips = 256;

long long executions = 0;

/// In an allocation of its own, so that the address sanitizer sees the first byte beyond it.
void execute(const std::string& bytes) {
  const std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(copy.data(), copy.size());
  ++executions;
}

void replay(const std::string& bytes) {
  execute(bytes);
  const std::size_t cut_step = std::max<std::size_t>(1, bytes.size() / kCuts);
  for (std::size_t length = 0; length < bytes.size(); length += cut_step) execute(bytes.substr(0, length));
  const std::size_t flip_step = std::max<std::size_t>(1, bytes.size() / kFlips);
  for (std::size_t place = 0; place < bytes.size(); place += flip_step) {
    std::string flipped = bytes;
    flipped[place] = static_cast<char>(flipped[place] ^ (1 << (place % 8)));
    execute(flipped);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<fs::path> files;
  for (int i = 1; i < argc; ++i)
    for (const auto& entry : fs::directory_iterator(argv[i]))
      if (entry.is_regular_file()) files.push_back(entry.path());
  if (files.empty()) {
    std::fprintf(stderr, "usage: %s FOLDER... with at least one file in them\n", argv[0]);
    return 2;
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    std::ifstream stream(file, std::ios::binary);
    replay({std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()});
  }
  std::printf("%zu files, %lld executions without a finding\n", files.size(), executions);
  return 0;
}
