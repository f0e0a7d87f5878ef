#pragma once
// Arena allocator: all memory of one truncation in one block, so that nothing is allocated in the inner loop.
// Each user of memory lists its parts once; the same list on a measuring arena gives the size of the block.
#include <cstddef>
#include <cstdint>
#include <memory>

#include "common/base/error.h"

namespace outerloop::rule::fused {

inline constexpr std::size_t kAlignment = 128;  ///< bytes: two cache lines, and the widest vectors

/// Uninitialised numbers, aligned to kAlignment.
template <class Real>
class AlignedBuffer {
 public:
  /// Grows to at least `size` numbers; the contents are lost. Never shrinks.
  void reserve(std::int64_t size);
  Real* data() const { return data_.get(); }
  std::int64_t size() const { return size_; }

 private:
  struct Free {
    void operator()(Real* p) const;
  };
  std::unique_ptr<Real, Free> data_;
  std::int64_t size_ = 0;
};

/// `count` rounded up to a whole number of kAlignment blocks.
template <class Real>
constexpr std::int64_t aligned_numbers(std::int64_t count) {
  constexpr auto kStep = static_cast<std::int64_t>(kAlignment / sizeof(Real));
  return (count + kStep - 1) / kStep * kStep;
}

/// Hands out consecutive parts of a block, each aligned to kAlignment; with a null block it only measures.
template <class Real>
class Arena {
 public:
  Arena() = default;  ///< measures
  Arena(Real* block, std::int64_t capacity) : block_(block), capacity_(capacity) {}

  /// `count` numbers, uninitialised; null where the arena only measures. Throws Error beyond the capacity.
  Real* take(std::int64_t count) {
    Real* const part = block_ ? block_ + used_ : nullptr;
    used_ += aligned_numbers<Real>(count);
    if (block_ && used_ > capacity_) throw Error("fused engine: an arena was sized too small");
    return part;
  }

  std::int64_t used() const { return used_; }
  void rewind(std::int64_t mark) { used_ = mark; }  ///< frees everything taken since used() was `mark`

 private:
  Real* block_ = nullptr;
  std::int64_t capacity_ = 0;
  std::int64_t used_ = 0;
};

}  // namespace outerloop::rule::fused
