#include "common/rule/reference/forward.h"

#include "common/base/error.h"
#include "common/rule/reference/reductions.h"

namespace outerloop::rule::reference {

Tensor apply_nonlinearity(const Tensor& z, Nonlinearity kind) {
  switch (kind) {
    case Nonlinearity::relu:
      return at::threshold(z, 0, 0);  // relu, which LibTorch 1.13 cannot count on its meta device
    case Nonlinearity::leaky_relu:
      return at::leaky_relu(z, 0.2);
    case Nonlinearity::swish:
      return at::silu(z);
    case Nonlinearity::elu:
      return at::elu(z);
    case Nonlinearity::tanh:
      return at::tanh(z);
    case Nonlinearity::step:
      return at::gt(z, 0).to(z.scalar_type());
  }
  throw Error("base model: unknown non-linearity number " + std::to_string(static_cast<int>(kind)));
}

Forward forward(const Phi& phi, const Tensor& x, Nonlinearity kind) {
  Forward result{{x}, {x}};
  const Tensor epsilon = at::full({1}, kBaseModelEpsilon, x.options());
  for (std::size_t l = 0; l < phi.W.size(); ++l) {
    const Tensor y = at::bmm(phi.W[l].transpose(1, 2), result.x.back());
    result.z.push_back(standardise(y, epsilon) + phi.b[l].unsqueeze(2));
    result.x.push_back(apply_nonlinearity(result.z.back(), kind));
  }
  return result;
}

}  // namespace outerloop::rule::reference
