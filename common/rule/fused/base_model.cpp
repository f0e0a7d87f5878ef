#include "common/rule/fused/base_model.h"

#include <algorithm>

namespace outerloop::rule::fused {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace

template <class Real>
Activations<Real> Activations<Real>::take(Arena<Real>& arena, const Architecture& architecture,
                                          std::int64_t batch, bool with_input) {
  Activations activations;
  activations.batch = batch;
  activations.x.push_back(with_input ? arena.take(architecture.inputs() * batch) : nullptr);
  activations.z.push_back(activations.x[0]);
  activations.rstd.push_back(nullptr);
  for (std::int64_t l = 1; l <= architecture.layers(); ++l) {
    const std::int64_t units = architecture.units[at(l)];
    activations.x.push_back(arena.take(units * batch));
    activations.z.push_back(arena.take(units * batch));
    activations.rstd.push_back(arena.take(units));
  }
  return activations;
}

template <class Real>
BaseModel<Real>::BaseModel(InstructionSet set, ThreadPool* pool)
    : products_(set, pool), rows_(row_kernels<Real>(set)) {}

template <class Real>
std::int64_t BaseModel<Real>::workspace_numbers(const Architecture& architecture, std::int64_t batch) const {
  const auto& units = architecture.units;
  return products_.workspace(std::max(batch, *std::max_element(units.begin(), units.end())));
}

template <class Real>
void BaseModel<Real>::forward(const Architecture& architecture, std::int64_t layers,
                              const PhiPointers<Real>& phi, const Activations<Real>& activations,
                              Real* workspace) const {
  const std::int64_t batch = activations.batch;
  for (std::int64_t l = 1; l <= layers; ++l) {
    const std::int64_t lower = architecture.units[at(l - 1)], upper = architecture.units[at(l)];
    // y[upper, B] = Wᵀ x; turned into z in place
    const View<Real> W{phi.W[at(l - 1)], upper, 1}, x{activations.x[at(l - 1)], batch, 1};
    products_.multiply({upper, batch, lower, W.transposed(), x, activations.z[at(l)], batch}, workspace);
    rows_.activate(architecture.nonlinearity, upper, batch, phi.b[at(l - 1)], activations.z[at(l)],
                   activations.x[at(l)], activations.rstd[at(l)]);
  }
}

template <class Real>
void BaseModel<Real>::backward(const Architecture& architecture, std::int64_t layers,
                               const PhiPointers<Real>& phi, const Activations<Real>& activations,
                               const ActivationGradients<Real>& d_activations, const PhiPointers<Real>& d_phi,
                               Real* workspace) const {
  const std::int64_t batch = activations.batch;
  for (std::int64_t l = layers; l >= 1; --l) {
    const std::int64_t lower = architecture.units[at(l - 1)], upper = architecture.units[at(l)];
    Real* const dy = d_activations.x[at(l)];
    rows_.activate_backward(architecture.nonlinearity, upper, batch, phi.b[at(l - 1)], activations.z[at(l)],
                            activations.rstd[at(l)], d_activations.z[at(l)], dy, d_phi.b[at(l - 1)]);

    // forward: y = Wᵀ x; so here dW += x dyᵀ and dx += W dy
    const View<Real> W{phi.W[at(l - 1)], upper, 1}, x{activations.x[at(l - 1)], batch, 1}, d{dy, batch, 1};
    products_.multiply({lower, upper, batch, x, d.transposed(), d_phi.W[at(l - 1)], upper, 1, true},
                       workspace);
    if (Real* const dx = d_activations.x[at(l - 1)])
      products_.multiply({lower, batch, upper, W, d, dx, batch, 1, true}, workspace);
  }
}

template struct Activations<float>;
template struct Activations<double>;
template class BaseModel<float>;
template class BaseModel<double>;

}  // namespace outerloop::rule::fused
