"""Oja's rule (1982) with meta-learned coefficients, as a module for Outerloop: python3 oja_rule.py oja.pt"""
import sys
from typing import Dict, List, Optional

import torch
from torch import Tensor


class Oja(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.output_units = 32
        self.log_rate = torch.nn.Parameter(torch.tensor(-4.0))
        # hebb, decay, decorrelation, threshold
        self.terms = torch.nn.Parameter(torch.tensor([1.0, 1.0, 0.0, 0.0]))

    @torch.jit.export
    def init(self, sizes: List[int], seed: int) -> List[Dict[str, Tensor]]:
        phi: List[Dict[str, Tensor]] = []
        for l in range(len(sizes) - 1):
            weights = 0.1 * self.noise(sizes[l] * sizes[l + 1], seed + l).view(sizes[l], sizes[l + 1])
            phi.append({"W": weights, "b": torch.zeros(sizes[l + 1])})
        return phi

    def noise(self, count: int, seed: int) -> Tensor:
        """Uniform in -1 .. 1, from the seed alone: a 32-bit hash of each index."""
        x = (torch.arange(count) + seed % 1000003 * 7919) & 0xFFFFFFFF
        for _ in range(3):
            x = ((x ^ (x >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
        return x.float() / 2147483648.0 - 1.0

    def layer(self, p: Dict[str, Tensor], x: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
        return torch.relu((x.matmul(p["W"]) - mean) / scale + p["b"])

    @torch.jit.export
    def calibrate(self, phi: List[Dict[str, Tensor]], x: Tensor) -> List[Tensor]:
        statistics: List[Tensor] = []
        for p in phi:
            y = x.matmul(p["W"])
            mean, scale = y.mean(0), (y.var(0, unbiased=False) + 1e-6).sqrt()
            statistics += [mean, scale]
            x = self.layer(p, x, mean, scale)
        return statistics

    @torch.jit.export
    def features(self, phi: List[Dict[str, Tensor]], x: Tensor, statistics: Optional[List[Tensor]] = None) -> Tensor:
        s = self.calibrate(phi, x) if statistics is None else statistics
        for l, p in enumerate(phi):
            x = self.layer(p, x, s[2 * l], s[2 * l + 1])
        return x

    @torch.jit.export
    def step(self, phi: List[Dict[str, Tensor]], x: Tensor) -> List[Dict[str, Tensor]]:
        s = self.calibrate(phi, x)
        after: List[Dict[str, Tensor]] = []
        for l, p in enumerate(phi):
            y = self.layer(p, x, s[2 * l], s[2 * l + 1])
            below = x - x.mean(0)
            n = x.size(0)
            hebb = below.t().matmul(y) / n
            decay = p["W"] * (y * y).mean(0)
            others = (y.t().matmul(y) / n).fill_diagonal_(0.0)
            change = self.terms[0] * hebb - self.terms[1] * decay - self.terms[2] * p["W"].matmul(others)
            rate = self.log_rate.exp()
            after.append({"W": p["W"] + rate * change, "b": p["b"] - rate * self.terms[3] * (y.mean(0) - 0.5)})
            x = y
        return after


if __name__ == "__main__":
    torch.jit.script(Oja()).save(sys.argv[1])
