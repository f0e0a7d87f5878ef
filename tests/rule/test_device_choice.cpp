// Which device each worker of a host takes.
#include <cstdlib>
#include <string>
#include <vector>

#include "common/rule/device_choice.h"
#include "tests/catch.h"
#include "tests/refusal.h"

namespace outerloop::tests {
namespace {

/// The devices of a host's workers, each of which sees `visible` of them.
std::vector<int> devices(const std::string& device, int workers, int visible) {
  std::vector<int> chosen;
  for (int worker = 0; worker < workers; ++worker)
    chosen.push_back(rule::device_of_worker(device, worker, visible));
  return chosen;
}

std::string refusal(const std::string& device, int worker, int visible) {
  return tests::refusal([&] { rule::device_of_worker(device, worker, visible); });
}

}  // namespace

TEST_CASE("workers of a host take its devices in turn") {
  CHECK(devices("cuda", 8, 8) == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7});
  CHECK(devices("cuda", 6, 2) == std::vector<int>{0, 1, 0, 1, 0, 1});  // three per GPU
  CHECK(devices("cuda", 2, 8) == std::vector<int>{0, 1});
  CHECK(devices("cuda", 3, 2) == std::vector<int>{0, 1, 0});  // a host with fewer devices than another
  CHECK(devices("cpu", 3, 2) == std::vector<int>{-1, -1, -1});
  CHECK(devices("cpu", 1, 0) == std::vector<int>{-1});
}

TEST_CASE("a worker that sees one device takes it, whatever its number elsewhere") {
  CHECK(devices("cuda", 4, 1) == std::vector<int>{0, 0, 0, 0});  // --gpus-per-task=1: each sees its own as 0
  CHECK(devices("cuda:0", 4, 1) == std::vector<int>{0, 0, 0, 0});
}

TEST_CASE("visible devices are counted from 0 among themselves") {
  // CUDA_VISIBLE_DEVICES=2,3 or two identifiers: the process sees two devices.
  CHECK(devices("cuda", 4, 2) == std::vector<int>{0, 1, 0, 1});
  CHECK(devices("cuda:1", 3, 2) == std::vector<int>{1, 1, 1});
  CHECK(contains(refusal("cuda:2", 0, 2), "cuda:2"));
}

TEST_CASE("a device that is not there is refused by name") {
  CHECK(contains(refusal("cuda:8", 0, 8), "cuda:8, but this host has 8 visible devices, cuda:0 to cuda:7"));
  CHECK(contains(refusal("cuda:1", 5, 1), "cuda:1, but this host has one visible device, cuda:0"));
  ::setenv("CUDA_VISIBLE_DEVICES", "", 1);
  CHECK(contains(refusal("cuda", 0, 0), "no visible device; CUDA_VISIBLE_DEVICES is ''"));
  ::unsetenv("CUDA_VISIBLE_DEVICES");
  CHECK(contains(refusal("cuda", 3, 0), "no visible device"));
  for (const char* name : {"tpu", "", "cuda:", "cuda:x", "cuda:-1", "cuda:123", "cuda 0", "CPU"})
    CHECK(contains(refusal(name, 0, 8), "device: '" + std::string(name) + "' is unknown"));
}

}  // namespace outerloop::tests
