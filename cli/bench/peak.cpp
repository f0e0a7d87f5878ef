// The core's peak: fused multiply-adds on registers alone.
#include <algorithm>
#include <chrono>
#include <cstdint>

#include "cli/bench/machine.h"
#include "common/rule/fused/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cli/bench/peak.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h, once per instruction set:
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace outerloop::cli {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

/// Twelve chains of multiply-adds: more than latency times units of any core, and few enough for 16
/// registers. The compiler must not know that the numbers in `start` [12] are equal, or it would merge the
/// chains. On return `start` holds the sum of all chains, so that none can be optimised away. Returns the
/// FLOPs done.
double multiply_add(std::int64_t iterations, float* start) {
  const hn::ScalableTag<float> d;
  const auto chain = [=](int i) HWY_ATTR { return hn::Set(d, start[i]); };
  auto s0 = chain(0), s1 = chain(1), s2 = chain(2), s3 = chain(3), s4 = chain(4), s5 = chain(5);
  auto s6 = chain(6), s7 = chain(7), s8 = chain(8), s9 = chain(9), s10 = chain(10), s11 = chain(11);
  const auto a = chain(0), b = chain(1);  // a = b = 1/2: every chain tends to one, far from denormal numbers
  for (std::int64_t i = 0; i < iterations; ++i) {
    s0 = hn::MulAdd(s0, a, b), s1 = hn::MulAdd(s1, a, b), s2 = hn::MulAdd(s2, a, b);
    s3 = hn::MulAdd(s3, a, b), s4 = hn::MulAdd(s4, a, b), s5 = hn::MulAdd(s5, a, b);
    s6 = hn::MulAdd(s6, a, b), s7 = hn::MulAdd(s7, a, b), s8 = hn::MulAdd(s8, a, b);
    s9 = hn::MulAdd(s9, a, b), s10 = hn::MulAdd(s10, a, b), s11 = hn::MulAdd(s11, a, b);
  }
  s0 = hn::Add(hn::Add(s0, s1), hn::Add(s2, s3));
  s4 = hn::Add(hn::Add(s4, s5), hn::Add(s6, s7));
  s8 = hn::Add(hn::Add(s8, s9), hn::Add(s10, s11));
  start[11] = hn::GetLane(hn::SumOfLanes(d, hn::Add(s0, hn::Add(s4, s8)))) * 1e-6F;
  return 2.0 * 12 * static_cast<double>(iterations) * static_cast<double>(hn::Lanes(d));
}

}  // namespace

double MultiplyAdd(std::int64_t iterations, float* start) { return multiply_add(iterations, start); }

}  // namespace HWY_NAMESPACE
}  // namespace outerloop::cli
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace outerloop::cli {

HWY_EXPORT(MultiplyAdd);

double fma_peak_gflops(rule::fused::InstructionSet set) {
  // Each run is shorter than a scheduler's time slice, so that on a busy machine some run has the core to
  // itself.
  constexpr std::int64_t kIterations = 50'000;
  constexpr int kRepetitions = 500;
  const rule::fused::ForceInstructionSet force(set);
  float start[] = {0.5F, 0.5F, 0.1F, 0.2F, 0.3F, 0.4F, 0.6F, 0.7F, 0.8F, 0.9F, 1.1F, 1.2F};
  double best = 0.0;
  for (int i = 0; i < kRepetitions; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const double flops = HWY_DYNAMIC_DISPATCH(MultiplyAdd)(kIterations, start);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    best = std::max(best, flops / took.count() / 1e9);
  }
  return best;
}

}  // namespace outerloop::cli
#endif  // HWY_ONCE
