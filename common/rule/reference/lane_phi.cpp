#include "common/rule/reference/lane_phi.h"

namespace outerloop::rule::reference {

Phi split_phi(const Layout& layout, const Tensor& flat) {
  std::vector<Tensor> list;
  for (const auto& spec : layout.tensors()) {
    std::vector<std::int64_t> shape = {flat.size(0)};
    shape.insert(shape.end(), spec.shape.begin(), spec.shape.end());
    list.push_back(flat.narrow(1, spec.offset, spec.size()).view(shape));
  }
  return phi_of(list);
}

std::vector<Tensor> list_of(const Phi& phi) {
  std::vector<Tensor> list;
  for (std::size_t l = 0; l < phi.W.size(); ++l) list.insert(list.end(), {phi.W[l], phi.b[l], phi.V[l]});
  return list;
}

Phi phi_of(const std::vector<Tensor>& list) {
  Phi phi;
  for (std::size_t i = 0; i < list.size(); i += 3) {
    phi.W.push_back(list[i]);
    phi.b.push_back(list[i + 1]);
    phi.V.push_back(list[i + 2]);
  }
  return phi;
}

Phi detached(const Phi& phi) {
  auto list = list_of(phi);
  for (auto& tensor : list) tensor = tensor.detach();
  return phi_of(list);
}

Phi as_leaves(const Phi& phi) {
  auto list = list_of(phi);
  for (auto& tensor : list) tensor = tensor.detach().requires_grad_();
  return phi_of(list);
}

Tensor join(const std::vector<Tensor>& list) {
  std::vector<Tensor> rows;
  for (const auto& tensor : list) rows.push_back(tensor.reshape({tensor.size(0), -1}));
  return at::cat(rows, 1);
}

Phi stacked(const std::vector<Phi>& list) {
  Phi all;
  for (std::size_t l = 0; l < list.front().W.size(); ++l) {
    std::vector<Tensor> W, b;
    for (const auto& phi : list) {
      W.push_back(phi.W[l]);
      b.push_back(phi.b[l]);
    }
    all.W.push_back(at::cat(W));
    all.b.push_back(at::cat(b));
  }
  return all;
}

}  // namespace outerloop::rule::reference
