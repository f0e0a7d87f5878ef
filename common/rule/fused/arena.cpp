#include "common/rule/fused/arena.h"

#include <sys/mman.h>

#include <cstdlib>
#include <new>

namespace outerloop::rule::fused {

namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

/// `bytes` of memory, null where there is none. Large buffers ask for huge pages: a pass walks through more
/// pages than the processor keeps addresses of.
void* allocate(std::size_t alignment, std::size_t bytes) {
  if (bytes >= 2 * kHugePage) alignment = kHugePage;
  bytes = (bytes + alignment - 1) / alignment * alignment;
  void* const p = std::aligned_alloc(alignment, bytes);
#ifdef MADV_HUGEPAGE
  if (p && alignment == kHugePage)
    madvise(p, bytes, MADV_HUGEPAGE);  // without effect where the system has none
#endif
  return p;
}

}  // namespace

template <class Real>
void AlignedBuffer<Real>::Free::operator()(Real* p) const {
  std::free(p);
}

template <class Real>
void AlignedBuffer<Real>::reserve(std::int64_t size) {
  if (size <= size_) return;
  data_.reset();
  size_ = 0;
  auto* p = static_cast<Real*>(allocate(kAlignment, static_cast<std::size_t>(size) * sizeof(Real)));
  if (!p) throw std::bad_alloc();
  data_.reset(p);
  size_ = size;
}

template class AlignedBuffer<float>;
template class AlignedBuffer<double>;

}  // namespace outerloop::rule::fused
