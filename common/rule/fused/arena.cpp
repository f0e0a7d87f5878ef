#include "common/rule/fused/arena.h"

#include <cstdlib>
#include <new>

namespace outerloop::rule::fused {

template <class Real>
void AlignedBuffer<Real>::Free::operator()(Real* p) const {
  std::free(p);
}

template <class Real>
void AlignedBuffer<Real>::reserve(std::int64_t size) {
  if (size <= size_) return;
  data_.reset();
  size_ = 0;
  const std::size_t bytes =
      (static_cast<std::size_t>(size) * sizeof(Real) + kAlignment - 1) / kAlignment * kAlignment;
  auto* p = static_cast<Real*>(std::aligned_alloc(kAlignment, bytes));
  if (!p) throw std::bad_alloc();
  data_.reset(p);
  size_ = size;
}

template class AlignedBuffer<float>;
template class AlignedBuffer<double>;

}  // namespace outerloop::rule::fused
