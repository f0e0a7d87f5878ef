#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "common/base/error.h"
#include "common/rule/fused/product.h"
#include "common/rule/random.h"
#include "tests/catch.h"

namespace outerloop::tests {
namespace {

using namespace rule::fused;

struct Shape {
  std::int64_t m, n, k;
  bool transpose_a, transpose_b, accumulate;
};

std::vector<Shape> shapes() {
  std::vector<Shape> all;
  const rule::Random random(7, 0, 0, rule::Purpose::test);
  const std::vector<std::int64_t> sizes = {1, 2, 3, 5, 7, 8, 11, 15, 16, 17, 31, 32, 33, 48, 65};
  std::uint32_t e = 0;
  const auto pick = [&] { return sizes[random.below(e++, sizes.size())]; };
  for (int i = 0; i < 120; ++i) all.push_back({pick(), pick(), pick(), i % 2 == 1, i % 4 > 1, i % 8 > 3});
  return all;
}

/// Numbers around zero, some of them denormal, at an address not aligned for vectors.
template <class Real>
struct Numbers {
  std::vector<Real> storage;
  std::int64_t shift;
  Numbers(std::int64_t size, std::uint32_t seed, std::int64_t misalignment)
      : storage(static_cast<std::size_t>(size + misalignment)), shift(misalignment) {
    const rule::Random random(seed, 0, 0, rule::Purpose::test);
    for (std::int64_t i = 0; i < size; ++i)
      data()[i] = i % 13 == 12 ? std::numeric_limits<Real>::denorm_min()
                               : static_cast<Real>(random.normal(static_cast<std::uint32_t>(i)));
  }
  Real* data() { return storage.data() + shift; }
};

template <class Real>
void check_products(InstructionSet set, double tolerance) {
  const auto& kernels = product_kernels<Real>(set);
  for (const auto& s : shapes()) {
    std::vector<std::vector<Real>> results;
    for (const std::int64_t misalignment : {0, 1, 3}) {
      Numbers<Real> a(s.m * s.k, 1, misalignment), b(s.k * s.n, 2, misalignment);
      Numbers<Real> c(s.m * (s.n + 2), 3, misalignment);
      const std::vector<Real> before(c.data(), c.data() + s.m * (s.n + 2));
      Product<Real> p;
      p.m = s.m;
      p.n = s.n;
      p.k = s.k;
      p.a = s.transpose_a ? View<Real>{a.data(), 1, s.m} : View<Real>{a.data(), s.k, 1};
      p.b = s.transpose_b ? View<Real>{b.data(), 1, s.k} : View<Real>{b.data(), s.n, 1};
      p.c = c.data();
      p.c_row = s.n + 2;
      p.scale = static_cast<Real>(0.5);
      p.accumulate = s.accumulate;
      std::vector<Real> workspace(static_cast<std::size_t>(product_workspace(kernels, s.k)));
      kernels.multiply(p, workspace.data());
      double worst = 0;
      for (std::int64_t i = 0; i < s.m; ++i)
        for (std::int64_t j = 0; j < s.n + 2; ++j) {
          const auto at = static_cast<std::size_t>(i * (s.n + 2) + j);
          double expected = before[at];
          if (j < s.n) {
            double sum = 0;
            for (std::int64_t k = 0; k < s.k; ++k)
              sum += static_cast<double>(p.a.data[i * p.a.row + k * p.a.column]) *
                     static_cast<double>(p.b.data[k * p.b.row + j * p.b.column]);
            expected = (s.accumulate ? expected : 0) + 0.5 * sum;
          }
          worst = std::max(worst, std::abs(expected - static_cast<double>(c.data()[at])));
        }
      INFO("m " << s.m << " n " << s.n << " k " << s.k << " transposed " << s.transpose_a << s.transpose_b);
      CHECK(worst < tolerance);
      results.emplace_back(c.data(), c.data() + s.m * (s.n + 2));
    }
    CHECK(std::memcmp(results[0].data(), results[1].data(), results[0].size() * sizeof(Real)) == 0);
    CHECK(std::memcmp(results[0].data(), results[2].data(), results[0].size() * sizeof(Real)) == 0);
  }
}

}  // namespace

TEST_CASE("products of every orientation and odd size, with equal bits for any alignment") {
  for (const auto& name : available_instruction_sets()) {
    INFO(name);
    const auto set = find_instruction_set(name);
    CHECK(instruction_set_name(set) == name);
    check_products<float>(set, 2e-5);
    check_products<double>(set, 1e-13);
  }
}

TEST_CASE("an instruction set is found by name, and the best is taken") {
  const auto names = available_instruction_sets();
  REQUIRE_FALSE(names.empty());
  CHECK(find_instruction_set(names.back()) == find_instruction_set("baseline"));
  CHECK(instruction_set_name(find_instruction_set("auto")) == names.front());
  CHECK_THROWS_AS(find_instruction_set("altivec"), InputError);
}

}  // namespace outerloop::tests
