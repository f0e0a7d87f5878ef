// outerloop bench kernels: the fused engine's inner loops one by one, with their data in the cache and from
// memory.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli/bench/benchmarks.h"
#include "cli/bench/machine.h"
#include "cli/bench/problem.h"
#include "common/rule/fused/arena.h"
#include "common/rule/fused/convolution.h"
#include "common/rule/fused/symmetric_readout.h"
#include "common/rule/random.h"
#include "common/store/atomic_file.h"

namespace outerloop::cli {
namespace {

using nlohmann::json;
using namespace rule::fused;

/// Bytes; more than second- and third-level caches keep.
constexpr std::int64_t kMemory = std::int64_t{64} << 20;

/// Random numbers in aligned memory.
class Numbers {
 public:
  Numbers(std::int64_t count, std::uint32_t seed, double scale = 1.0) {
    buffer_.reserve(count);
    const rule::Random random(1, 0, seed, rule::Purpose::test);
    for (std::int64_t i = 0; i < count; ++i)
      buffer_.data()[i] = static_cast<float>(scale * (random.uniform(static_cast<std::uint32_t>(i)) - 0.5));
  }
  float* data() const { return buffer_.data(); }

 private:
  AlignedBuffer<float> buffer_;
};

/// One kernel at one size. run(i) works on the i-th of `sets` sets of tensors.
struct Kernel {
  std::string name;
  double gflop = 0.0;
  std::int64_t sets = 1;
  std::function<void(std::int64_t)> run;
};

/// Seconds of the fastest run: it has neither interrupts nor other processes in it.
double fastest(const Kernel& kernel, std::int64_t sets, int repetitions) {
  double best = std::numeric_limits<double>::infinity();
  for (std::int64_t i = 0; i < repetitions * sets; ++i) {
    const auto start = std::chrono::steady_clock::now();
    kernel.run(i % sets);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

/// The tensors [sets, units, batch, channels] of convolutions with as many inputs as outputs, and their
/// weights.
class Convolutions {
 public:
  Convolutions(const BenchSize& size, InstructionSet set)
      : kernels_(convolution_kernels<float>(set)),
        channels_(padded_channels(size.rule.neuron_local.hidden_channels, kernels_.lanes)),
        units_(size.architecture.units[1]),
        batch_(size.batch),
        tensor_(units_ * batch_ * channels_),
        sets_(kMemory / (tensor_ * static_cast<std::int64_t>(sizeof(float))) + 1),
        z0_(sets_ * tensor_, 1),
        z_(sets_ * tensor_, 2),
        g_(tensor_, 3),
        d_input_(tensor_, 4),
        weights_(kTaps * channels_ * channels_, 5, 0.1),
        column_(channels_, 6),
        packed_(kTaps * channels_ * channels_, 7),
        transposed_(kTaps * channels_ * channels_, 8),
        d_weights_((units_ + kBlockLines - 1) / kBlockLines * kTaps * channels_ * channels_, 9),
        workspace_(convolution_workspace(batch_, kTaps, channels_, kernels_.lanes), 10),
        sums_(static_cast<std::size_t>(4 * (units_ + kBlockLines) * channels_)) {
    pack_weights(weights_.data(), kTaps, channels_, channels_, kernels_.lanes, packed_.data());
    pack_transposed(weights_.data(), kTaps, channels_, channels_, kernels_.lanes, transposed_.data());
  }

  void add(std::vector<Kernel>& kernels) const {
    const double gflop = 2e-9 * static_cast<double>(tensor_ * kTaps * channels_);
    for (const auto axis : {Axis::batch, Axis::units}) {
      const std::string along = axis == Axis::batch ? "along the batch" : "along the units";
      kernels.push_back({"convolution " + along, gflop, sets_, [this, axis](std::int64_t i) {
                           kernels_.forward(forward(axis, i), workspace_.data());
                         }});
      kernels.push_back({"its adjoint", 2 * gflop, sets_, [this, axis](std::int64_t i) {
                           kernels_.backward(backward(axis, i), workspace_.data());
                         }});
    }
  }

 private:
  static constexpr std::int64_t kTaps = 3;

  Source<float> source(std::int64_t i) const {
    Source<float> source;
    source.kind = SourceKind::relu;
    source.inputs = source.padded = channels_;
    source.z0 = z0_.data() + i * tensor_;
    source.norm0 = {column_.data(), column_.data()};
    return source;
  }
  double* sums(int which) const { return sums_.data() + static_cast<std::size_t>(which) * sums_.size() / 4; }

  ForwardPass<float> forward(Axis axis, std::int64_t i) const {
    ForwardPass<float> pass;
    pass.axis = axis;
    pass.units = pass.last = units_;
    pass.batch = batch_;
    pass.source = source(i);
    pass.outputs = channels_;
    pass.weights = packed_.data();
    pass.z = z_.data() + i * tensor_;
    pass.z_unit = batch_ * channels_;
    pass.sum = sums(0);
    pass.sum_squares = sums(1);
    return pass;
  }

  BackwardPass<float> backward(Axis axis, std::int64_t i) const {
    BackwardPass<float> pass;
    pass.axis = axis;
    pass.units = pass.last = units_;
    pass.batch = batch_;
    pass.g = g_.data();
    pass.g_unit = batch_ * channels_;
    pass.z = z_.data() + i * tensor_;
    pass.norm = {column_.data(), column_.data()};
    pass.a = pass.b = pass.c = column_.data();
    pass.channels = pass.outputs = channels_;
    pass.source = source(i);
    pass.d_weights = d_weights_.data();
    pass.transposed = transposed_.data();
    pass.d_input = d_input_.data();
    pass.sum = sums(2);
    pass.sum_normalised = sums(3);
    return pass;
  }

  const ConvolutionKernels<float>& kernels_;
  std::int64_t channels_, units_, batch_, tensor_, sets_;
  Numbers z0_, z_, g_, d_input_, weights_, column_, packed_, transposed_, d_weights_, workspace_;
  mutable std::vector<double> sums_;
};

/// The products of the first layer's weight change (docs/update-rule.md, §3.4).
class WeightProducts {
 public:
  WeightProducts(const BenchSize& size, InstructionSet set)
      : products_(set, nullptr),
        n_(size.architecture.units[0]),
        m_(size.architecture.units[1]),
        k_(size.batch * size.rule.neuron_local.readout_channels),
        lower_(n_ * k_, 11),
        upper_(m_ * k_, 12),
        change_(n_ * m_, 13),
        result_(n_ * std::max({n_, m_, k_}), 14),
        workspace_(products_.workspace(std::max({n_, m_, k_})), 15),
        multiply_{products_, workspace_.data()} {}

  void add(std::vector<Kernel>& kernels) const {
    const auto row = rows_of(lower_.data(), k_), col = rows_of(upper_.data(), k_),
               dR = rows_of(change_.data(), m_);
    add(kernels, "readout R(p, q)", n_, m_, k_, row, col.transposed());
    add(kernels, "its gradient by rows", n_, k_, m_, dR, col);
    add(kernels, "its gradient by columns", m_, k_, n_, dR.transposed(), row);
    add(kernels, "readout S(p) of the lower layer", n_, n_, k_, row, row.transposed());
    add(kernels, "S(p) w", n_, m_, n_, rows_of(lower_.data(), n_), dR);
  }

 private:
  void add(std::vector<Kernel>& kernels, const std::string& name, std::int64_t m, std::int64_t n,
           std::int64_t k, const View<float>& a, const View<float>& b) const {
    kernels.push_back({fmt::format("{}, {} x {} x {}", name, m, n, k), 2e-9 * static_cast<double>(m * n * k),
                       1,
                       [this, m, n, k, a, b](std::int64_t) { multiply_(m, n, k, a, b, result_.data(), n); }});
  }

  Products<float> products_;
  std::int64_t n_, m_, k_;
  Numbers lower_, upper_, change_, result_, workspace_;
  Multiplier<float> multiply_;
};

/// Prints one line of the table and returns it.
json measure(const std::string& size, const Kernel& kernel, int repetitions, double peak) {
  const auto share = [&](double seconds) { return kernel.gflop / seconds / peak; };
  const double cached = fastest(kernel, 1, repetitions);
  json row = {{"size", size}, {"kernel", kernel.name}, {"gflop", kernel.gflop}};
  row["microseconds"] = 1e6 * cached;
  row["fraction_of_peak"] = share(cached);
  std::string memory = fmt::format("{:>14}{:>10}", "-", "-");
  if (kernel.sets > 1) {
    const double stored = fastest(kernel, kernel.sets, std::max(1, repetitions / 8));
    row["microseconds_from_memory"] = 1e6 * stored;
    row["fraction_of_peak_from_memory"] = share(stored);
    memory = fmt::format("{:>14.1f}{:>9.0f}%", 1e6 * stored, 100 * share(stored));
  }
  fmt::print("{:<8}{:<48}{:>9.2f}{:>14.1f}{:>9.0f}%{}\n", size, kernel.name, 1e3 * kernel.gflop, 1e6 * cached,
             100 * share(cached), memory);
  std::fflush(stdout);
  return row;
}

}  // namespace

int bench_kernels(const BenchKernelsOptions& options) {
  const std::string pinned = pin_to_cores(1);
  const auto set = find_instruction_set(options.instruction_set);
  const double peak = fma_peak_gflops(set);
  fmt::print("{}, {}, {}\nfused multiply-add peak of one core {:.1f} GFLOP/s (float32)\n\n", processor_name(),
             pinned, instruction_set_name(set), peak);
  fmt::print("{:<8}{:<48}{:>9}{:>14}{:>10}{:>14}{:>10}\n", "size", "kernel", "MFLOP", "us, in cache",
             "of peak", "us, memory", "of peak");
  json rows = json::array();
  for (const auto& name : options.sizes) {
    const auto size = bench_size(name);
    const Convolutions convolutions(size, set);
    const WeightProducts products(size, set);
    std::vector<Kernel> kernels;
    convolutions.add(kernels);
    products.add(kernels);
    for (const auto& kernel : kernels) rows.push_back(measure(name, kernel, options.repetitions, peak));
  }
  if (!options.json.empty())
    store::write_file_atomically(options.json, json{{"cpu", processor_name()},
                                                    {"instruction_set", instruction_set_name(set)},
                                                    {"fma_peak_gflops", peak},
                                                    {"rows", rows}}
                                                       .dump(2) +
                                                   "\n");
  return 0;
}

}  // namespace outerloop::cli
