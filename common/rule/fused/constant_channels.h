#pragma once
// Inputs of hidden.in that are constant along the batch: statistics of a neuron's weights, its bias and its
// place among the units (docs/update-rule.md, §3.2). Also the change of a layer's biases (§3.5).
#include <cstdint>
#include <vector>

namespace outerloop::rule::fused {

/// Memory that grows on the first call and is then reused.
using Scratch64 = std::vector<double>;

inline constexpr std::int64_t kStatistics = 4;  ///< mean|w|, sqrt(mean w² + 1e-6), mean w, sqrt(var w + 1e-8)

/// Statistics of W [n, m] down its columns (`by_column` [m, 4]) and along its rows (`by_row` [n, 4]).
template <class Real>
void weight_statistics(const Real* W, std::int64_t n, std::int64_t m, Real* by_column, Real* by_row,
                       Scratch64& scratch);

/// The adjoint, added to dW. Either gradient may be null.
template <class Real>
void weight_statistics_backward(const Real* W, std::int64_t n, std::int64_t m, const Real* by_column,
                                const Real* by_row, const Real* d_by_column, const Real* d_by_row, Real* dW,
                                Scratch64& scratch);

/// sin and cos of linspace(0, 4π, units), each normalised over the units (eps 1e-3): [units, 2].
template <class Real>
void identity_waves(std::int64_t units, Real* waves);

/// constants [units, 11] = s scaled by 1/sqrt(mean(s²) + 1e-6), b, waves + identity_beta. `incoming`,
/// `outgoing`: [units, 4] each; `b` null: zero. Returns that scale.
template <class Real>
Real constant_channels(std::int64_t units, const Real* incoming, const Real* outgoing, const Real* b,
                       const Real* waves, const Real* identity_beta, Real* constants);

/// The adjoint: adds to d_incoming, d_outgoing (which may be the same), d_b (may be null), d_identity_beta.
template <class Real>
void constant_channels_backward(std::int64_t units, const Real* constants, Real scale,
                                const Real* d_constants, Real* d_incoming, Real* d_outgoing, Real* d_b,
                                double* d_identity_beta);

/// change[units] = Δb from the means over the batch of h^upper, `means` [units, row], of which the first
/// `channels` are used.
template <class Real>
void bias_change(std::int64_t units, std::int64_t channels, std::int64_t row, const Real* means,
                 const Real* w, Real bias, Real* change, Scratch64& scratch);

/// The adjoint: d_means [units, row] is overwritten (its padding with zeros) and scaled by `factor`; d_w and
/// d_bias are added to. d_bias is left unchanged where the mean of the unclipped change is negative: it
/// cancels there.
template <class Real>
void bias_change_backward(std::int64_t units, std::int64_t channels, std::int64_t row, const Real* means,
                          const Real* w, Real bias, const Real* d_change, Real factor, Real* d_means,
                          double* d_w, double* d_bias, Scratch64& scratch);

}  // namespace outerloop::rule::fused
