// Memory of the fused engine: how its buffers are aligned, and that large ones ask for huge pages.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "common/rule/fused/arena.h"
#include "tests/catch.h"

namespace outerloop::tests {
namespace {

using rule::fused::AlignedBuffer;

std::uintptr_t address(const AlignedBuffer<float>& buffer) {
  return reinterpret_cast<std::uintptr_t>(buffer.data());
}

/// The kernel's flags of the mapping in which `at` lies, as /proc/self/smaps prints them.
std::string flags_of(std::uintptr_t at) {
  std::ifstream file("/proc/self/smaps");
  std::string line;
  bool inside = false;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::uintptr_t first = 0, last = 0;
    char dash = 0;
    if (words >> std::hex >> first >> dash >> last && dash == '-') inside = first <= at && at < last;
    if (inside && line.rfind("VmFlags:", 0) == 0) return line + " ";
  }
  return "";
}

}  // namespace

TEST_CASE("a buffer is aligned, grows and never shrinks") {
  AlignedBuffer<float> buffer;
  for (const std::int64_t size : {1, 100, 5000, 3000000, 7}) {
    const auto before = buffer.size();
    buffer.reserve(size);
    CHECK(buffer.size() == std::max(before, size));
    CHECK(address(buffer) % rule::fused::kAlignment == 0);
    buffer.data()[0] = buffer.data()[buffer.size() - 1] = 1.0F;
  }
}

TEST_CASE("a large buffer asks for huge pages, a small one does not") {
  if (!std::filesystem::exists("/sys/kernel/mm/transparent_hugepage")) {
    WARN("this kernel has no huge pages");
    return;
  }
  AlignedBuffer<float> small, large;
  small.reserve(1000);
  large.reserve(std::int64_t{8} << 20);
  CHECK(address(large) % (std::uintptr_t{2} << 20) == 0);
  CHECK(flags_of(address(large)).find(" hg ") != std::string::npos);
  CHECK(flags_of(address(small)).find(" hg ") == std::string::npos);
}

}  // namespace outerloop::tests
