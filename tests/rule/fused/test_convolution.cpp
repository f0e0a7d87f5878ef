// The convolution passes against plain loops in float64.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "common/rule/fused/convolution.h"
#include "common/rule/random.h"
#include "tests/catch.h"
#include "tests/rule/fused/mixed.h"
#include "tests/rule/fused/numbers.h"

namespace outerloop::tests {
namespace {

using namespace rule::fused;
using Values = std::vector<double>;

struct Case {
  Axis axis = Axis::batch;
  std::int64_t taps = 3, units = 4, batch = 6, inputs = 3, outputs = 5;
  SourceKind kind = SourceKind::relu;
  bool norm = true;       ///< a batch norm and ReLU follow; otherwise a bias is added
  bool per_unit = false;  ///< constant inputs too
  bool skip = false;
};

Case random_case(std::uint32_t seed) {
  const rule::Random random(seed, 4, 0, rule::Purpose::test);
  std::uint32_t e = 0;
  const auto from = [&](std::vector<std::int64_t> v) { return v[random.below(e++, v.size())]; };
  Case c;
  c.units = from({1, 2, 3, 5, 17, 33});
  c.batch = from({1, 2, 3, 7, 8, 16, 17, 21});
  c.outputs = from({1, 3, 8, 16, 17, 33, 48});
  c.kind = static_cast<SourceKind>(random.below(e++, 5));
  c.inputs = c.kind == SourceKind::single ? 1 : from({1, 2, 5, 8, 16, 17, 34});
  c.taps = from({1, 3, 3, 3, 5});
  c.axis = random.below(e++, 2) == 0 ? Axis::batch : Axis::units;
  c.norm = random.below(e++, 4) > 0;
  c.per_unit = c.axis == Axis::batch && c.taps == 3 && random.below(e++, 2) == 0;
  c.skip = random.below(e++, 2) == 0;
  return c;
}

/// Row-major [units, batch, channels] whose rows are padded with zeros.
template <class Real>
struct Tensor {
  std::int64_t units, batch, channels, padded;
  std::vector<Real> values;

  Tensor(std::int64_t u, std::int64_t b, std::int64_t c, std::int64_t lanes)
      : units(u),
        batch(b),
        channels(c),
        padded(padded_channels(c, lanes)),
        values(static_cast<std::size_t>(u * b * padded)) {}
  Tensor(std::int64_t u, std::int64_t b, std::int64_t c, std::int64_t lanes, std::uint32_t seed)
      : Tensor(u, b, c, lanes) {
    const auto numbers = normal_numbers(u * b * c, seed);
    for (std::int64_t i = 0; i < u * b; ++i)
      for (std::int64_t k = 0; k < c; ++k)
        values[static_cast<std::size_t>(i * padded + k)] =
            static_cast<Real>(numbers[static_cast<std::size_t>(i * c + k)]);
  }
  /// Zero outside.
  double at(std::int64_t u, std::int64_t b, std::int64_t c) const {
    if (u < 0 || u >= units || b < 0 || b >= batch) return 0;
    return static_cast<double>(values[static_cast<std::size_t>((u * batch + b) * padded + c)]);
  }
};

template <class Real>
std::vector<Real> row(std::int64_t channels, std::int64_t lanes, std::uint32_t seed) {
  return Tensor<Real>(1, 1, channels, lanes, seed).values;
}

/// The inputs and outputs of one pass in either direction.
template <class Real>
struct Setting {
  Case c;
  std::int64_t lanes;
  Tensor<Real> z0, z1, z, g, d_input, skip;
  std::vector<Real> scale0, shift0, scale1, shift1, scale, shift, a, b, start, bias, weights, packed,
      transposed;
  std::vector<Real> per_unit, d_weights, d_per_unit, means, workspace;
  Values sum, squares, d_bias, d_sum, d_normalised;  ///< [blocks, channels], as d_weights

  Setting(const Case& k, std::int64_t n)
      : c(k),
        lanes(n),
        z0(k.units, k.batch, k.inputs, n, 1),
        z1(k.units, k.batch, k.inputs, n, 2),
        z(k.units, k.batch, k.outputs, n),
        g(k.units, k.batch, k.outputs, n, 3),
        d_input(k.units, k.batch, k.inputs, n),
        skip(k.units, k.batch, k.inputs, n, 4),
        scale0(row<Real>(k.inputs, n, 5)),
        shift0(row<Real>(k.inputs, n, 6)),
        scale1(row<Real>(k.inputs, n, 7)),
        shift1(row<Real>(k.inputs, n, 8)),
        scale(row<Real>(k.outputs, n, 9)),
        shift(row<Real>(k.outputs, n, 10)),
        a(row<Real>(k.outputs, n, 11)),
        b(row<Real>(k.outputs, n, 12)),
        start(row<Real>(k.outputs, n, 13)),
        bias(row<Real>(k.outputs, n, 14)) {
    const auto numbers = normal_numbers(c.taps * c.inputs * c.outputs, 15);
    weights.assign(numbers.begin(), numbers.end());
    packed.resize(static_cast<std::size_t>(c.taps * c.inputs * z.padded));
    transposed.resize(static_cast<std::size_t>(c.taps * c.outputs * z0.padded));
    pack_weights(weights.data(), c.taps, c.inputs, c.outputs, n, packed.data());
    pack_transposed(weights.data(), c.taps, c.inputs, c.outputs, n, transposed.data());
    per_unit = Tensor<Real>(c.units, 3, c.outputs, n, 16).values;
    d_per_unit.resize(per_unit.size());
    means.resize(static_cast<std::size_t>(c.units * z0.padded));
    d_weights.resize(static_cast<std::size_t>(c.taps * c.inputs * z.padded));
    const auto blocks = static_cast<std::size_t>((c.units + kBlockLines - 1) / kBlockLines);
    d_weights.resize(blocks * d_weights.size());
    sum.resize(blocks * static_cast<std::size_t>(z.padded));
    squares = d_bias = sum;
    d_sum.resize(blocks * static_cast<std::size_t>(z0.padded));
    d_normalised = d_sum;
    workspace.resize(
        static_cast<std::size_t>(convolution_workspace(c.batch, c.taps, std::max(z.padded, z0.padded), n)),
        static_cast<Real>(NAN));
    workspace.resize(workspace.size() + kGuard, Real(12345));
    if (c.kind == SourceKind::single) {  // stored as [units, batch]
      for (std::int64_t i = 0; i < c.units * c.batch; ++i)
        single.push_back(z0.values[static_cast<std::size_t>(i * z0.padded)]);
    }
  }
  std::vector<Real> single;

  /// Checks that nothing was written past the workspace.
  static constexpr std::size_t kGuard = 256;
  bool guarded() const {
    return std::count(workspace.end() - kGuard, workspace.end(), Real(12345)) == kGuard;
  }

  Source<Real> source() const {
    Source<Real> s;
    s.kind = c.kind;
    s.inputs = c.inputs;
    s.padded = z0.padded;
    s.z0 = c.kind == SourceKind::single ? single.data() : z0.values.data();
    s.z0_unit = c.batch * z0.padded;
    s.norm0 = {scale0.data(), shift0.data()};
    s.z1 = z1.values.data();
    s.norm1 = {scale1.data(), shift1.data()};
    return s;
  }

  void forward(const ConvolutionKernels<Real>& kernels) {
    ForwardPass<Real> p;
    p.axis = c.axis;
    p.taps = c.taps;
    p.units = p.last = c.units;
    p.batch = c.batch;
    p.source = source();
    p.outputs = z.padded;
    p.weights = packed.data();
    p.bias = c.norm ? nullptr : bias.data();
    p.per_unit = c.per_unit ? per_unit.data() : nullptr;
    if (c.per_unit) p.bias = nullptr;
    p.z = z.values.data();
    p.z_unit = c.batch * z.padded;
    p.sum = sum.data();
    p.sum_squares = squares.data();
    p.input_means = means.data();
    kernels.forward(p, workspace.data());
  }

  void backward(const ConvolutionKernels<Real>& kernels) {
    BackwardPass<Real> p;
    p.axis = c.axis;
    p.taps = c.taps;
    p.units = p.last = c.units;
    p.batch = c.batch;
    p.g = g.values.data();
    p.g_unit = c.batch * g.padded;
    if (c.norm) {
      p.z = z.values.data();
      p.norm = {scale.data(), shift.data()};
      p.a = a.data();
      p.b = b.data();
      p.c = start.data();
    }
    p.channels = c.outputs;
    p.outputs = z.padded;
    p.source = source();
    p.d_weights = d_weights.data();
    p.d_bias = d_bias.data();
    p.transposed = transposed.data();
    p.d_input = d_input.values.data();
    p.skip = c.skip ? skip.values.data() : nullptr;
    if (c.kind != SourceKind::single && c.kind != SourceKind::plain) {
      p.sum = d_sum.data();
      p.sum_normalised = d_normalised.data();
    }
    p.per_unit = c.per_unit ? d_per_unit.data() : nullptr;
    kernels.backward(p, workspace.data());
  }

  /// Makes all inputs of the passes, including z, small integers, which bfloat16 represents exactly.
  void make_integers() {
    z = Tensor<Real>(c.units, c.batch, c.outputs, lanes, 17);
    for (auto* values : {&z0.values, &z1.values, &z.values, &g.values, &skip.values, &scale0, &shift0,
                         &scale1, &shift1, &scale, &shift, &a, &b, &start, &weights, &single})
      for (Real& value : *values) value = std::nearbyint(value);
    pack_transposed(weights.data(), c.taps, c.inputs, c.outputs, lanes, transposed.data());
  }

  // Plain version of the passes.
  double normalised(int which, std::int64_t u, std::int64_t b_index, std::int64_t i) const {
    const auto k = static_cast<std::size_t>(i);
    return which == 0
               ? static_cast<double>(scale0[k]) * z0.at(u, b_index, i) + static_cast<double>(shift0[k])
               : static_cast<double>(scale1[k]) * z1.at(u, b_index, i) + static_cast<double>(shift1[k]);
  }
  bool inside(std::int64_t u, std::int64_t b_index) const {
    return u >= 0 && u < c.units && b_index >= 0 && b_index < c.batch;
  }
  double input(std::int64_t u, std::int64_t b_index, std::int64_t i) const {
    if (!inside(u, b_index)) return 0;
    switch (c.kind) {
      case SourceKind::plain:
      case SourceKind::single:
        return z0.at(u, b_index, i);
      case SourceKind::affine:
        return normalised(0, u, b_index, i);
      case SourceKind::relu:
        return std::max(0.0, normalised(0, u, b_index, i));
      case SourceKind::relu_sum:
        return std::max(0.0, normalised(0, u, b_index, i)) + std::max(0.0, normalised(1, u, b_index, i));
    }
    return 0;
  }
  double w(std::int64_t j, std::int64_t i, std::int64_t o) const {
    return static_cast<double>(weights[static_cast<std::size_t>((j * c.inputs + i) * c.outputs + o)]);
  }
  /// Unit and example that tap j reads for (u, b).
  std::pair<std::int64_t, std::int64_t> tap(std::int64_t j, std::int64_t u, std::int64_t b_index) const {
    const std::int64_t shift_by = j - (c.taps - 1) / 2;
    return c.axis == Axis::batch ? std::make_pair(u, b_index + shift_by)
                                 : std::make_pair(u + shift_by, b_index);
  }
  double output(std::int64_t u, std::int64_t b_index, std::int64_t o) const {
    double value = c.norm || c.per_unit ? 0 : static_cast<double>(bias[static_cast<std::size_t>(o)]);
    for (std::int64_t j = 0; j < c.taps; ++j) {
      const auto [v, e] = tap(j, u, b_index);
      for (std::int64_t i = 0; i < c.inputs; ++i) value += w(j, i, o) * input(v, e, i);
      if (c.per_unit && inside(v, e))
        value += static_cast<double>(per_unit[static_cast<std::size_t>((u * 3 + j) * z.padded + o)]);
    }
    return value;
  }
  double dz(std::int64_t u, std::int64_t b_index, std::int64_t o) const {
    const auto k = static_cast<std::size_t>(o);
    if (!c.norm) return g.at(u, b_index, o);
    const double value = z.at(u, b_index, o);
    const bool alive = static_cast<double>(scale[k]) * value + static_cast<double>(shift[k]) > 0;
    return static_cast<double>(a[k]) * (alive ? g.at(u, b_index, o) : 0) + static_cast<double>(b[k]) * value +
           static_cast<double>(start[k]);
  }
};

/// The totals of `numbers` sums over all blocks.
template <class Number>
Values over_blocks(const std::vector<Number>& sums, std::size_t numbers) {
  Values total(numbers);
  for (std::size_t i = 0; i < sums.size(); ++i) total[i % numbers] += static_cast<double>(sums[i]);
  return total;
}

/// Largest error of the forward pass's outputs, relative to the largest number of each kind.
template <class Real>
double forward_error(Setting<Real>& s, const ConvolutionKernels<Real>& kernels) {
  const auto& c = s.c;
  s.forward(kernels);
  double worst = 0;
  const auto compare = [&](const Values& got, const Values& expected) {
    worst = std::max(worst, largest_error(got, expected));
  };
  const auto outputs = static_cast<std::size_t>(s.z.padded);
  Values got, expected, sums(outputs), squares(outputs), means(s.means.size());
  for (std::int64_t u = 0; u < c.units; ++u)
    for (std::int64_t b = 0; b < c.batch; ++b) {
      for (std::int64_t o = 0; o < s.z.padded; ++o) {
        const double value = o < c.outputs ? s.output(u, b, o) : 0;
        got.push_back(s.z.at(u, b, o));
        expected.push_back(value);
        sums[static_cast<std::size_t>(o)] += value;
        squares[static_cast<std::size_t>(o)] += value * value;
      }
      for (std::int64_t i = 0; i < c.inputs; ++i)
        means[static_cast<std::size_t>(u * s.z0.padded + i)] +=
            s.input(u, b, i) / static_cast<double>(c.batch);
    }
  compare(got, expected);
  compare(over_blocks(s.sum, outputs), sums);
  compare(over_blocks(s.squares, outputs), squares);
  for (std::int64_t u = 0; u < c.units; ++u)  // the padding of the means is unused
    for (std::int64_t i = c.inputs; i < s.z0.padded; ++i)
      s.means[static_cast<std::size_t>(u * s.z0.padded + i)] = 0;
  compare(Values(s.means.begin(), s.means.end()), means);
  return worst;
}

/// The backward pass by plain loops: gradients of the weights, the bias, the terms per unit and the input.
template <class Real>
struct PlainBackward {
  explicit PlainBackward(const Setting<Real>& s);

  Values d_weights, d_bias, d_per_unit;
  Tensor<double> d_input;
};

template <class Real>
PlainBackward<Real>::PlainBackward(const Setting<Real>& s)
    : d_weights(static_cast<std::size_t>(s.c.taps * s.c.inputs * s.z.padded)),
      d_bias(static_cast<std::size_t>(s.z.padded)),
      d_per_unit(s.per_unit.size()),
      d_input(s.c.units, s.c.batch, s.c.inputs, s.lanes) {
  const auto& c = s.c;
  for (std::int64_t u = 0; u < c.units; ++u)
    for (std::int64_t b = 0; b < c.batch; ++b)
      for (std::int64_t o = 0; o < c.outputs; ++o) {
        const double dz = s.dz(u, b, o);
        d_bias[static_cast<std::size_t>(o)] += dz;
        for (std::int64_t j = 0; j < c.taps; ++j) {
          const auto [v, e] = s.tap(j, u, b);
          if (!s.inside(v, e)) continue;
          if (c.per_unit) d_per_unit[static_cast<std::size_t>((u * 3 + j) * s.z.padded + o)] += dz;
          for (std::int64_t i = 0; i < c.inputs; ++i) {
            d_weights[static_cast<std::size_t>((j * c.inputs + i) * s.z.padded + o)] += dz * s.input(v, e, i);
            d_input.values[static_cast<std::size_t>((v * c.batch + e) * d_input.padded + i)] +=
                dz * s.w(j, i, o);
          }
        }
      }
}

/// As forward_error(), of the backward pass, which follows it.
template <class Real>
double backward_error(Setting<Real>& s, const ConvolutionKernels<Real>& kernels) {
  const auto& c = s.c;
  s.backward(kernels);
  const PlainBackward<Real> plain(s);
  double worst = 0;
  const auto compare = [&](const Values& got, const Values& expected) {
    worst = std::max(worst, largest_error(got, expected));
  };
  const auto inputs = static_cast<std::size_t>(s.z0.padded);
  Values d_sum(inputs), d_normalised(inputs), got_input, expected_input;
  const bool sums_wanted = c.kind != SourceKind::single && c.kind != SourceKind::plain;
  for (std::int64_t u = 0; u < c.units; ++u)
    for (std::int64_t b = 0; b < c.batch; ++b)
      for (std::int64_t i = 0; i < c.inputs; ++i) {
        const double value = plain.d_input.at(u, b, i) + (c.skip ? s.skip.at(u, b, i) : 0);
        got_input.push_back(s.d_input.at(u, b, i));
        expected_input.push_back(value);
        if (!sums_wanted) continue;
        const double n = s.normalised(c.kind == SourceKind::relu_sum ? 1 : 0, u, b, i);
        if (c.kind != SourceKind::affine && n <= 0) continue;
        d_sum[static_cast<std::size_t>(i)] += value;
        d_normalised[static_cast<std::size_t>(i)] += value * n;
      }
  compare(got_input, expected_input);
  compare(over_blocks(s.d_weights, plain.d_weights.size()), plain.d_weights);
  compare(over_blocks(s.d_bias, plain.d_bias.size()), plain.d_bias);
  compare(over_blocks(s.d_sum, inputs), d_sum);
  compare(over_blocks(s.d_normalised, inputs), d_normalised);
  if (c.per_unit) compare(Values(s.d_per_unit.begin(), s.d_per_unit.end()), plain.d_per_unit);
  CHECK(s.guarded());
  return worst;
}

template <class Real>
double worst_error(Setting<Real>& s, const ConvolutionKernels<Real>& kernels) {
  const double forward = forward_error(s, kernels);
  return std::max(forward, backward_error(s, kernels));
}

}  // namespace

TEST_CASE("both passes of convolutions of every kind, axis and odd size") {
  for (const auto& name : available_instruction_sets()) {
    const auto set = find_instruction_set(name);
    const auto& exact = convolution_kernels<double>(set);
    const auto& fast = convolution_kernels<float>(set);
    for (std::uint32_t seed = 1; seed <= 80; ++seed) {
      const Case c = random_case(seed);
      INFO(name << ", seed " << seed << ": kind " << static_cast<int>(c.kind) << " axis "
                << static_cast<int>(c.axis) << " taps " << c.taps << " units " << c.units << " batch "
                << c.batch << " inputs " << c.inputs << " outputs " << c.outputs << " norm " << c.norm
                << " per unit " << c.per_unit << " skip " << c.skip);
      Setting<double> in_double(c, exact.lanes);
      CHECK(worst_error(in_double, exact) < 1e-12);
      // A relu's input within rounding of zero may change sides: about one number in a thousand of these
      // draws.
      Setting<float> in_float(c, fast.lanes);
      CHECK(worst_error(in_float, fast) < 2e-4);
    }
  }
}

TEST_CASE(
    "mixed precision: the float32 passes on numbers that bfloat16 holds, within its rounding on others") {
  if (!mixed_available()) return;
  const auto set = find_instruction_set("avx512");
  const auto& plain = convolution_kernels<float>(set);
  const auto& mixed = mixed_convolution_kernels(set);
  CHECK(mixed.forward == plain.forward);
  REQUIRE(mixed.backward != plain.backward);
  double worst = 0;
  for (std::uint32_t seed = 1; seed <= 200; ++seed) {
    const Case c = random_case(seed);
    INFO("seed " << seed << ": kind " << static_cast<int>(c.kind) << " axis " << static_cast<int>(c.axis)
                 << " taps " << c.taps << " units " << c.units << " batch " << c.batch << " inputs "
                 << c.inputs << " outputs " << c.outputs << " norm " << c.norm << " per unit " << c.per_unit
                 << " skip " << c.skip);
    Setting<float> expected(c, plain.lanes), got(c, plain.lanes);
    expected.make_integers();
    got.make_integers();
    expected.backward(plain);
    got.backward(mixed);
    CHECK(same_bits(got.d_input.values, expected.d_input.values));
    CHECK(same_bits(got.d_weights, expected.d_weights));
    CHECK(same_bits(got.d_bias, expected.d_bias));
    CHECK(same_bits(got.d_sum, expected.d_sum));
    CHECK(same_bits(got.d_normalised, expected.d_normalised));
    CHECK(same_bits(got.d_per_unit, expected.d_per_unit));
    // Each factor is rounded by 2^-9 at most, so a product by 2^-8; where terms cancel, the sum by more.
    Setting<float> rounded(c, plain.lanes);
    const double error = worst_error(rounded, mixed);
    CHECK(error < 0.03);
    worst = std::max(worst, error);
  }
  CHECK(worst > 1e-4);  // shows that bfloat16 was used
  std::printf("mixed: largest error of a kernel %.1e\n", worst);
}

TEST_CASE("lines that are computed one by one are those computed together") {
  Case c;
  c.kind = SourceKind::relu_sum;
  c.taps = 1;
  c.inputs = 16;
  c.outputs = 20;
  const auto& kernels = convolution_kernels<float>(find_instruction_set("auto"));
  Setting<float> together(c, kernels.lanes);
  together.forward(kernels);
  Setting<float> single(c, kernels.lanes);
  std::vector<float> line(static_cast<std::size_t>(c.batch * single.z.padded)), all;
  ForwardPass<float> p;
  p.taps = 1;
  p.units = c.units;
  p.batch = c.batch;
  p.source = single.source();
  p.outputs = single.z.padded;
  p.weights = single.packed.data();
  p.z = line.data();
  for (p.first = 0; p.first < c.units; ++p.first) {
    p.last = p.first + 1;
    kernels.forward(p, single.workspace.data());
    all.insert(all.end(), line.begin(), line.end());
  }
  CHECK(same_bits(all, together.z.values));
}

}  // namespace outerloop::tests
