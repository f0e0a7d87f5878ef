#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/rule/fused/symmetric_readout.h"
#include "common/rule/fused/weight_change.h"
#include "common/rule/random.h"
#include "tests/catch.h"
#include "tests/rule/fused/plain_weight_change.h"

namespace outerloop::tests {
namespace {

using namespace rule::fused;

/// The parts of a layer's input, or of the gradient by it, one after the other in one array.
struct Layout {
  enum Part {
    kW,
    kUpper,
    kLower = kUpper + kUpperReadouts,
    kXUpper = kLower + kLowerReadouts,
    kXLower,
    kMergeW,
    kMergeB,
    kParts
  };
  std::vector<std::int64_t> start = {0};
  explicit Layout(const WeightChangeSize& s) {
    const std::int64_t K = s.batch * s.channels;
    const auto add = [&](std::int64_t numbers) { start.push_back(start.back() + numbers); };
    add(s.lower * s.upper);
    for (int i = 0; i < kUpperReadouts; ++i) add(s.upper * K);
    for (int i = 0; i < kLowerReadouts; ++i) add(s.lower * K);
    add(s.upper * s.batch);
    add(s.lower * s.batch);
    add(kTerms);
    add(1);
  }
  std::int64_t size() const { return start.back(); }
};

template <class Real>
WeightChangeInput<Real> input_of(const Layout& layout, const Real* all) {
  const auto part = [&](int which) { return all + layout.start[static_cast<std::size_t>(which)]; };
  WeightChangeInput<Real> in;
  in.W = part(Layout::kW);
  for (int i = 0; i < kUpperReadouts; ++i) in.upper[static_cast<std::size_t>(i)] = part(Layout::kUpper + i);
  for (int i = 0; i < kLowerReadouts; ++i) in.lower[static_cast<std::size_t>(i)] = part(Layout::kLower + i);
  in.x_upper = part(Layout::kXUpper);
  in.x_lower = part(Layout::kXLower);
  in.merge_w = part(Layout::kMergeW);
  in.merge_b = *part(Layout::kMergeB);
  return in;
}

/// Random numbers of every part; some weights are zero, whose sign is zero. With `sign` 1 the projection
/// removes a part of the update, with −1 it does not.
std::vector<double> random_input(const WeightChangeSize& size, std::uint32_t seed, double sign = 1) {
  const Layout layout(size);
  const rule::Random random(seed, 0, 0, rule::Purpose::test);
  std::vector<double> all(static_cast<std::size_t>(layout.size()));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = random.normal(static_cast<std::uint32_t>(i));
  for (std::int64_t i = 0; i < layout.start[1]; ++i) {
    double& W = all[static_cast<std::size_t>(i)];
    W = i % 7 == 3 ? 0 : 0.1 * W + (W > 0 ? 0.01 : -0.01);
  }
  for (std::size_t k = 0; k < kTerms; ++k) {
    double& merge = all[static_cast<std::size_t>(layout.start[Layout::kMergeW]) + k];
    merge = k == kTerms - 1 ? sign * 4 : 0.3 * merge;
  }
  return all;
}

std::vector<double> random_gradient(const WeightChangeSize& size) {
  const rule::Random random(99, 0, 0, rule::Purpose::test);
  std::vector<double> d(static_cast<std::size_t>(size.lower * size.upper));
  for (std::size_t i = 0; i < d.size(); ++i) d[i] = random.normal(static_cast<std::uint32_t>(i));
  return d;
}

/// An array that starts `shift` numbers off alignment and has exactly the requested size, so that sanitizers
/// detect accesses outside it.
template <class Real>
struct Shifted {
  std::unique_ptr<Real[]> storage;
  Real* data;
  Shifted(std::int64_t size, std::int64_t shift)
      : storage(new Real[static_cast<std::size_t>(size + shift)]), data(storage.get() + shift) {
    std::fill_n(data, size, static_cast<Real>(std::nan("")));  // reads of unwritten numbers are detected
  }
};

template <class Real>
struct Result {
  std::vector<Real> delta;
  std::vector<double> gradient;  ///< as Layout
};

/// Forward, and backward from `d_delta`; gradients that accumulate are added to `before`.
template <class Real>
Result<Real> run(InstructionSet set, const WeightChangeSize& size, const std::vector<double>& numbers,
                 const std::vector<double>& d_numbers, std::int64_t shift = 0, double before = 0) {
  const WeightChange<Real> change(set);
  const Layout layout(size);
  const std::int64_t entries = size.lower * size.upper;
  Shifted<Real> all(layout.size(), shift), delta(entries, shift), d_delta(entries, shift);
  Shifted<Real> kept(change.kept_numbers(size), shift), workspace(change.workspace_numbers(size), shift);
  std::transform(numbers.begin(), numbers.end(), all.data, [](double x) { return static_cast<Real>(x); });
  std::transform(d_numbers.begin(), d_numbers.end(), d_delta.data,
                 [](double x) { return static_cast<Real>(x); });
  const auto input = input_of<Real>(layout, all.data);
  change.forward(size, input, delta.data, kept.data, workspace.data);

  Shifted<Real> d_all(layout.size(), shift);
  std::vector<double> d_merge(kTerms + 1, before);
  const auto part = [&](int which) { return d_all.data + layout.start[static_cast<std::size_t>(which)]; };
  WeightChangeGradient<Real> gradient;
  gradient.W = part(Layout::kW);
  for (int i = 0; i < kUpperReadouts; ++i)
    gradient.upper[static_cast<std::size_t>(i)] = part(Layout::kUpper + i);
  for (int i = 0; i < kLowerReadouts; ++i)
    gradient.lower[static_cast<std::size_t>(i)] = part(Layout::kLower + i);
  gradient.x_upper = part(Layout::kXUpper);
  gradient.x_lower = part(Layout::kXLower);
  gradient.merge_w = d_merge.data();
  gradient.merge_b = &d_merge[kTerms];
  for (const int added : {Layout::kW, Layout::kXUpper, Layout::kXLower})
    std::fill(part(added), part(added + 1), static_cast<Real>(before));
  Shifted<Real> used(change.workspace_numbers(size), shift);  // forward's workspace is not needed any more
  change.backward(size, input, kept.data, d_delta.data, gradient, used.data);

  Result<Real> result;
  result.delta.assign(delta.data, delta.data + entries);
  result.gradient.assign(d_all.data, d_all.data + layout.size());
  std::copy(d_merge.begin(), d_merge.end(), result.gradient.begin() + layout.start[Layout::kMergeW]);
  return result;
}

void for_each_instruction_set(const std::function<void(InstructionSet)>& f) {
  for (const auto& name : available_instruction_sets()) {
    INFO("instruction set " << name);
    f(find_instruction_set(name));
  }
}

std::vector<WeightChangeSize> sizes() {
  std::vector<WeightChangeSize> all = {{1, 1, 1, 1},   {1, 1, 5, 3},   {1, 9, 4, 2},   {9, 1, 4, 2},
                                       {13, 5, 1, 1},  {33, 47, 6, 3}, {48, 32, 8, 4}, {70, 3, 9, 2},
                                       {150, 4, 5, 3}, {4, 150, 5, 3}, {5, 66, 7, 1},  {17, 31, 3, 5}};
  const rule::Random random(5, 0, 0, rule::Purpose::test);
  std::uint32_t e = 0;
  const auto pick = [&](std::uint64_t most) {
    return static_cast<std::int64_t>(1 + random.below(e++, most));
  };
  for (int i = 0; i < 25; ++i) all.push_back({pick(60), pick(60), pick(9), pick(4)});
  return all;
}

std::string describe(const WeightChangeSize& s) {
  return std::to_string(s.lower) + " x " + std::to_string(s.upper) + ", batch " + std::to_string(s.batch) +
         ", channels " + std::to_string(s.channels);
}

/// The largest difference of a and b in [first, last), relative to the largest number of b there, and its
/// position.
struct Difference {
  double relative = 0;
  std::size_t index = 0;
};
template <class A, class B>
Difference difference(const std::vector<A>& a, const std::vector<B>& b, std::int64_t first,
                      std::int64_t last) {
  Difference worst;
  double largest = 1e-6;
  for (auto i = static_cast<std::size_t>(first); i < static_cast<std::size_t>(last); ++i) {
    const double off = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (!(off <= worst.relative)) worst = {off, i};
    largest = std::max(largest, std::abs(static_cast<double>(b[i])));
  }
  worst.relative /= largest;
  return worst;
}

/// ∂ Σ d ΔW / ∂ number `at`, by central differences of fourth order of the plain version.
double numeric_derivative(const WeightChangeSize& size, std::vector<double>& numbers,
                          const std::vector<double>& d, std::int64_t at) {
  const Layout layout(size);
  double& number = numbers[static_cast<std::size_t>(at)];
  const double original = number, step = at < layout.start[1] ? 2e-4 : 2e-3;
  const auto value = [&](double shift) {
    number = original + shift;
    const auto delta = plain_weight_change(size, input_of<double>(layout, numbers.data())).delta;
    number = original;
    double sum = 0;
    for (std::size_t i = 0; i < d.size(); ++i) sum += d[i] * delta[i];
    return sum;
  };
  return (8 * (value(step) - value(-step)) - (value(2 * step) - value(-2 * step))) / (12 * step);
}

void check_gradient(InstructionSet set, const WeightChangeSize& size, double sign, std::int64_t per_part) {
  const Layout layout(size);
  auto numbers = random_input(size, 11, sign);
  const auto d = random_gradient(size);
  const double before = 0.5;
  const auto gradient = run<double>(set, size, numbers, d, 0, before).gradient;
  for (int part = 0; part < Layout::kParts; ++part) {
    const bool added = part == Layout::kW || part >= Layout::kXUpper;
    const std::int64_t first = layout.start[static_cast<std::size_t>(part)];
    const std::int64_t count = layout.start[static_cast<std::size_t>(part) + 1] - first;
    const std::int64_t stride = std::max<std::int64_t>(1, count / per_part);
    double worst = 0, largest = 1e-3;
    std::int64_t index = 0;
    for (std::int64_t i = 0; i < count; i += stride) {
      const double ours = gradient[static_cast<std::size_t>(first + i)] - (added ? before : 0);
      if (part == Layout::kW && numbers[static_cast<std::size_t>(i)] == 0) continue;  // the sign jumps there
      const double numeric = numeric_derivative(size, numbers, d, first + i);
      largest = std::max(largest, std::abs(numeric));
      if (!(std::abs(ours - numeric) <= worst)) {
        worst = std::abs(ours - numeric);
        index = i;
      }
    }
    INFO(describe(size) << ", sign " << sign << ", part " << part << ", index " << index << ": error "
                        << worst << " beside " << largest);
    CHECK(worst < 1e-7 * largest);
  }
}

template <class Real>
void check_alignment() {
  const auto same = [](const auto& a, const auto& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(a[0])) == 0;
  };
  for (const auto& size : {WeightChangeSize{33, 47, 6, 3}, {150, 4, 5, 3}, {4, 150, 5, 3}}) {
    const auto numbers = random_input(size, 23);
    const auto d = random_gradient(size);
    for_each_instruction_set([&](InstructionSet set) {
      const auto first = run<Real>(set, size, numbers, d);
      for (const std::int64_t shift : {0, 1, 3}) {
        const auto other = run<Real>(set, size, numbers, d, shift);
        CHECK(same(first.delta, other.delta));
        CHECK(same(first.gradient, other.gradient));
      }
    });
  }
}

}  // namespace

TEST_CASE("the weight change agrees with the formulas, for any size and instruction set") {
  int removed = 0, untouched = 0, formed = 0, left = 0, right = 0;
  for (const auto& size : sizes()) {
    const bool on_left = factored_is_cheaper(size.lower, size.upper, size.batch * size.channels);
    const bool on_right = factored_is_cheaper(size.upper, size.lower, size.batch * size.channels);
    ++(on_left ? left : on_right ? right : formed);
    for (const double sign : {1.0, -1.0}) {
      const auto numbers = random_input(size, 3, sign);
      const auto plain = plain_weight_change(size, input_of<double>(Layout(size), numbers.data()));
      ++(plain.along > 0 ? removed : untouched);
      for_each_instruction_set([&](InstructionSet set) {
        const auto ours = run<double>(set, size, numbers, random_gradient(size)).delta;
        const auto worst = difference(ours, plain.delta, 0, size.lower * size.upper);
        INFO(describe(size) << ", sign " << sign << ", index " << worst.index << ": " << worst.relative);
        CHECK(worst.relative < 1e-11);
      });
    }
  }
  CHECK(removed > 20);  // both sides of the projection's relu were tested
  CHECK(untouched > 20);
  CHECK(left > 3);  // and S, on each side, both factored and formed
  CHECK(right > 3);
  CHECK(formed > 3);
}

TEST_CASE("the adjoint of the weight change agrees with central differences") {
  for_each_instruction_set([&](InstructionSet set) {
    for (const double sign : {1.0, -1.0})
      for (const WeightChangeSize& size : {WeightChangeSize{1, 1, 2, 1},
                                           {1, 6, 3, 2},
                                           {7, 1, 3, 2},
                                           {6, 5, 1, 1},
                                           {19, 17, 3, 2},
                                           {40, 3, 4, 2},
                                           {3, 40, 4, 2}})
        check_gradient(set, size, sign, 12);
  });
}

TEST_CASE("float32 follows float64, value and gradient") {
  for (const auto& size : {WeightChangeSize{33, 47, 16, 3},
                           {48, 32, 64, 4},
                           {150, 16, 40, 3},
                           {300, 5, 7, 1},
                           {5, 300, 7, 1},
                           {196, 48, 64, 4}}) {
    const Layout layout(size);
    // The numbers rounded to float32, so that only the arithmetic differs.
    auto numbers = random_input(size, 17);
    for (double& x : numbers) x = static_cast<double>(static_cast<float>(x));
    auto d = random_gradient(size);
    for (double& x : d) x = static_cast<double>(static_cast<float>(x));
    for_each_instruction_set([&](InstructionSet set) {
      const auto narrow = run<float>(set, size, numbers, d);
      const auto wide = run<double>(set, size, numbers, d);
      const auto value = difference(narrow.delta, wide.delta, 0, size.lower * size.upper);
      INFO(describe(size) << ", value at " << value.index << ": " << value.relative);
      CHECK(value.relative < 2e-4);
      for (std::size_t part = 0; part < Layout::kParts; ++part) {
        const auto worst =
            difference(narrow.gradient, wide.gradient, layout.start[part], layout.start[part + 1]);
        INFO("gradient of part " << part << " at " << worst.index << ": " << worst.relative);
        CHECK(worst.relative < 2e-4);
      }
    });
  }
}

TEST_CASE("the weight change has the same bits for any alignment") {
  check_alignment<float>();
  check_alignment<double>();
}

TEST_CASE("the weight change needs no memory kept where no gradient is asked for") {
  const auto set = find_instruction_set("auto");
  const WeightChange<double> change(set);
  const WeightChangeSize size{21, 10, 4, 2};
  const Layout layout(size);
  const auto numbers = random_input(size, 29);
  const auto input = input_of<double>(layout, numbers.data());
  std::vector<double> delta(static_cast<std::size_t>(size.lower * size.upper));
  Shifted<double> workspace(change.workspace_numbers(size), 0);
  change.forward(size, input, delta.data(), nullptr, workspace.data);
  CHECK(delta == run<double>(set, size, numbers, random_gradient(size)).delta);
}

TEST_CASE("a weight change of nothing is refused") {
  const WeightChange<float> change(find_instruction_set("auto"));
  CHECK_THROWS_AS(change.kept_numbers({0, 1, 1, 1}), Error);
  CHECK_THROWS_AS(change.workspace_numbers({1, 1, 1, 0}), Error);
}

}  // namespace outerloop::tests
