#pragma once
// Multithreaded passes over the lines of a tensor, with the same bits for any number of threads.
#include <algorithm>
#include <cstdint>
#include <utility>

#include "common/rule/fused/convolution.h"
#include "common/rule/fused/kernels.h"

namespace outerloop::rule::fused {
namespace detail {

/// `pass` with its sums redirected from the totals to sums over `blocks` blocks in `shared`.
template <class Real, class Pass>
Pass with_partial_sums(Shared<Real>& shared, Pass pass, std::int64_t blocks) {
  double* at = shared.partial_sums.data();
  pass.for_sums([&](double*& sums, std::int64_t numbers) {
    sums = at;
    at += numbers * blocks;
  });
  if constexpr (std::is_same_v<Pass, BackwardPass<Real>>) pass.d_weights = shared.partial_weights;
  return pass;
}

template <class Real, class Pass>
void clear_sums(Pass pass, std::int64_t blocks) {
  pass.for_sums([&](double* sums, std::int64_t numbers) { std::fill_n(sums, numbers * blocks, 0.0); });
  if constexpr (std::is_same_v<Pass, BackwardPass<Real>>)
    std::fill_n(pass.d_weights, pass.weights() * blocks, Real(0));
}

/// total[i] += partial[block][i], one block after the other.
template <class Number>
void add_blocks(std::int64_t blocks, std::int64_t numbers, std::int64_t first, std::int64_t last,
                const Number* partial, double* total) {
  for (std::int64_t block = 0; block < blocks; ++block, partial += numbers)
    for (std::int64_t i = first; i < last; ++i) total[i] += static_cast<double>(partial[i]);
}

template <class Real, class Pass>
void add_up(Shared<Real>& shared, Pass total, Pass partial, std::int64_t blocks) {
  double* to[3] = {};
  int sums_of_a_line = 0;
  total.for_sums([&](double* sums, std::int64_t) { to[sums_of_a_line++] = sums; });
  sums_of_a_line = 0;
  partial.for_sums([&](const double* sums, std::int64_t numbers) {
    add_blocks(blocks, numbers, 0, numbers, sums, to[sums_of_a_line++]);
  });
  if constexpr (std::is_same_v<Pass, BackwardPass<Real>>) {
    constexpr std::int64_t kPart = 1024;  // weights per part: a few microseconds of work
    const std::int64_t numbers = total.weights();
    shared.pool.for_blocks((numbers + kPart - 1) / kPart, [&](std::int64_t first, std::int64_t last, int) {
      add_blocks(blocks, numbers, first * kPart, std::min(numbers, last * kPart), partial.d_weights,
                 total.d_weights_total);
    });
  }
}

}  // namespace detail

/// Calls f(part, thread) with parts of `pass` that together cover all of its lines: whole blocks of
/// kBlockLines, each with its own sums, which are added to those of `pass` in order.
template <class Real, class Pass, class F>
void for_line_blocks(Shared<Real>& shared, const Pass& pass, const F& f) {
  const std::int64_t all = (pass.units + kBlockLines - 1) / kBlockLines;
  for (std::int64_t begin = 0; begin < all; begin += kMostBlocks) {
    const std::int64_t blocks = std::min(kMostBlocks, all - begin);
    const Pass partial = detail::with_partial_sums(shared, pass, blocks);
    shared.pool.for_blocks(blocks, [&](std::int64_t first, std::int64_t last, int thread) {
      Pass part = partial;
      part.skip_blocks(first);
      detail::clear_sums<Real>(part, last - first);
      part.first = (begin + first) * kBlockLines;
      part.last = std::min(pass.units, (begin + last) * kBlockLines);
      f(part, thread);
    });
    detail::add_up(shared, pass, partial, blocks);
  }
}

template <class Real>
void run_pass(const Kernels<Real>& kernels, Shared<Real>& shared, const ForwardPass<Real>& pass) {
  for_line_blocks(shared, pass, [&](const ForwardPass<Real>& part, int thread) {
    kernels.convolutions.forward(part, shared.kernel_of(thread));
  });
}

template <class Real>
void run_pass(const Kernels<Real>& kernels, Shared<Real>& shared, const BackwardPass<Real>& pass) {
  for_line_blocks(shared, pass, [&](const BackwardPass<Real>& part, int thread) {
    kernels.convolutions.backward(part, shared.kernel_of(thread));
  });
}

}  // namespace outerloop::rule::fused
