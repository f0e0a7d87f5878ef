#pragma once
// φ of several lanes: conversion between flat numbers [S, size of the layout] and tensors per layer.
#include <vector>

#include "common/rule/layout.h"
#include "common/rule/reference/forward.h"

namespace outerloop::rule::reference {

/// Views of `flat` [S, layout.size()].
Phi split_phi(const Layout& layout, const Tensor& flat);

/// W, b, V of every layer: the order of the layout.
std::vector<Tensor> list_of(const Phi& phi);
Phi phi_of(const std::vector<Tensor>& list);

/// The same numbers as leaves of a new graph.
Phi as_leaves(const Phi& phi);
Phi detached(const Phi& phi);

/// [S, size]: concatenates tensors that have a leading axis of lanes.
Tensor join(const std::vector<Tensor>& list);

/// W and b of several φ as those of one with all their lanes, the lanes of the first φ first. V is omitted:
/// the base model does not use it.
Phi stacked(const std::vector<Phi>& list);

}  // namespace outerloop::rule::reference
