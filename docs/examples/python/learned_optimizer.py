"""A learned optimizer as a module for Outerloop: a small network turns the gradient and the momentum of every single
weight into that weight's step (Metz et al. 2020). python3 learned_optimizer.py optimizer.pt"""
import sys
from typing import Dict, List

import torch
from torch import Tensor

DECAYS = [0.5, 0.9, 0.99]  # of the momentum buffers


class LearnedOptimizer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.supervised = True
        torch.manual_seed(0)  # of θ before meta-training
        self.hidden = torch.nn.Linear(2 + len(DECAYS), 16)
        self.out = torch.nn.Linear(16, 2)
        self.log_rate = torch.nn.Parameter(torch.tensor(-7.0))
        self.register_buffer("decays", torch.tensor(DECAYS))

    def noise(self, count: int, seed: int) -> Tensor:
        """Uniform in -1 .. 1, from the seed alone: a 32-bit hash of each index."""
        x = (torch.arange(count) + seed % 1000003 * 7919) & 0xFFFFFFFF
        for _ in range(3):
            x = ((x ^ (x >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
        return x.float() / 2147483648.0 - 1.0

    @torch.jit.export
    def init(self, sizes: List[int], seed: int) -> List[Dict[str, Tensor]]:
        phi: List[Dict[str, Tensor]] = []
        for l in range(len(sizes) - 1):
            below, here = sizes[l], sizes[l + 1]
            weights = (6.0 / below) ** 0.5 * self.noise(below * here, seed + l).view(below, here)
            phi.append({"W": weights, "b": torch.zeros(here),
                        "W_momenta": torch.zeros(below, here, 3), "b_momenta": torch.zeros(here, 3)})
        return phi

    @torch.jit.export
    def features(self, phi: List[Dict[str, Tensor]], x: Tensor) -> Tensor:
        """A score for each class."""
        for l, p in enumerate(phi):
            x = x.matmul(p["W"]) + p["b"]
            if l + 1 < len(phi):
                x = torch.relu(x)
        return x

    def moved(self, weight: Tensor, momenta: Tensor) -> Tensor:
        """The weight after its step. momenta: the gradient's running means, and behind them the gradient itself."""
        size = (momenta * momenta).mean().add(1e-12).sqrt()  # of the tensor's gradients
        inputs = torch.cat([momenta / size, weight.unsqueeze(-1)], -1)
        y = 0.1 * self.out(torch.tanh(self.hidden(inputs)))
        direction = momenta[..., 1] / size + y[..., 0]
        return weight - (self.log_rate + y[..., 1]).exp() * direction

    @torch.jit.export
    def step(self, phi: List[Dict[str, Tensor]], x: Tensor, y: Tensor) -> List[Dict[str, Tensor]]:
        loss = -(y * torch.log_softmax(self.features(phi, x), 1)).sum() / x.size(0)
        weights: List[Tensor] = []
        for p in phi:
            weights += [p["W"], p["b"]]
        gradients = torch.autograd.grad([loss], weights, create_graph=True)
        after: List[Dict[str, Tensor]] = []
        for l, p in enumerate(phi):
            layer: Dict[str, Tensor] = {}
            for i, name in enumerate(["W", "b"]):
                gradient = gradients[2 * l + i]
                assert gradient is not None
                gradient = gradient.unsqueeze(-1)
                momenta = self.decays * p[name + "_momenta"] + (1.0 - self.decays) * gradient
                layer[name] = self.moved(p[name], torch.cat([momenta, gradient], -1))
                layer[name + "_momenta"] = momenta
            after.append(layer)
        return after


if __name__ == "__main__":
    torch.jit.script(LearnedOptimizer()).save(sys.argv[1])
