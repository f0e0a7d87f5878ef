#include "common/rule/reference/torchscript_source.h"

namespace outerloop::rule::reference {

// The rule of docs/update-rule.md line by line, as in docs/numpy.md. Activations and states are [units,
// examples, channels] inside, [examples, units] outside.
const char* const kTorchScriptSource = R"script(
def philox(self, elements: Tensor, attempt: int, seed: int) -> Tuple[Tensor, Tensor]:
    """Two uniform numbers in [0, 1) for each element: Philox4x32-10 as in common/rule/random.cpp, in 64-bit integers."""
    mask = 4294967295
    c0 = elements
    c1 = torch.full_like(elements, 2 | (attempt << 8))
    c2 = torch.zeros_like(elements)
    c3 = torch.zeros_like(elements)
    k0 = seed & mask
    k1 = (seed >> 32) & mask
    for _ in range(10):
        p0 = c0 * 3528531795
        p1 = c2 * 3449720151
        c0 = ((p1 >> 32) & mask) ^ c1 ^ k0
        c1 = p1 & mask
        c2 = ((p0 >> 32) & mask) ^ c3 ^ k1
        c3 = p0 & mask
        k0 = (k0 + 2654435769) & mask
        k1 = (k1 + 3144134277) & mask
    unit = 1.1102230246251565e-16
    return ((c1 << 21) | (c0 >> 11)).double() * unit, ((c3 << 21) | (c2 >> 11)).double() * unit

def normal(self, first: int, count: int, seed: int) -> Tensor:
    """Standard normal, redrawn beyond two deviations."""
    elements = torch.arange(first, first + count)
    values = torch.full([count], 3.0).double()
    attempt = 0
    while bool((values.abs() > 2).any()):
        u, v = self.philox(elements, attempt, seed)
        drawn = torch.sqrt(-2.0 * torch.log(1.0 - u)) * torch.cos(6.283185307179586 * v)
        values = torch.where(values.abs() > 2, drawn, values)
        attempt += 1
    return values

def init(self, sizes: List[int], seed: int) -> List[Dict[str, Tensor]]:
    """The base model before its first step: one {W, b, V} per layer. sizes: inputs, units of each layer; the last is the
    rule's (output_units). The same numbers as Outerloop's own, and no generator of PyTorch is used."""
    assert len(sizes) >= 2 and min(sizes) >= 1 and sizes[-1] == self.output_units, \
        "sizes {}: inputs and at least one layer, the last of {} units".format(sizes, self.output_units)
    like = self.theta()["merge.w"]
    phi: List[Dict[str, Tensor]] = []
    first = 0
    for l in range(len(sizes) - 1):
        below, here = sizes[l], sizes[l + 1]
        layer: Dict[str, Tensor] = {}
        layer["W"] = (0.01 * self.normal(first, below * here, seed)).float().view(below, here).to(like)
        first += below * here
        layer["b"] = (0.1 * self.normal(first, here, seed)).float().to(like)
        first += here
        layer["V"] = (0.01 * self.normal(first, below * here, seed)).float().view(below, here).to(like)
        first += below * here
        phi.append(layer)
    return phi

def check(self, phi: List[Dict[str, Tensor]], x: Tensor):
    assert len(phi) >= 1 and phi[-1]["W"].size(1) == self.output_units, \
        "phi: its last layer has to have {} units, as init makes it".format(self.output_units)
    assert x.dim() == 2 and x.size(1) == phi[0]["W"].size(0), \
        "x {}: examples by {} inputs are wanted".format(x.size(), phi[0]["W"].size(0))

def frozen(self, phi: List[Dict[str, Tensor]], x: Tensor, statistics: List[Tensor]) -> List[Tensor]:
    """x^0 .. x^L, each [examples, units], by statistics of as many layers as there are: mean and deviation of each."""
    xs = [x]
    for l in range(len(statistics) // 2):
        y = torch.matmul(xs[-1], phi[l]["W"])
        xs.append(torch.relu((y - statistics[2 * l]) / statistics[2 * l + 1] + phi[l]["b"]))
    return xs

def calibrate(self, phi: List[Dict[str, Tensor]], x: Tensor) -> List[Tensor]:
    """Batch norm's statistics over the rows of x, to freeze: mean and standard deviation [units] of layer 1, of layer 2, ..."""
    self.check(phi, x)
    assert x.size(0) > 1, "statistics of one row: give many, those that phi was trained on"
    statistics: List[Tensor] = []
    for p in phi:
        y = torch.matmul(self.frozen(phi, x, statistics)[-1], p["W"])
        centred = y - y.mean(0)
        statistics.append(y.mean(0))
        statistics.append(torch.sqrt((centred * centred).mean(0) + 1e-6))
    return statistics

def activations(self, phi: List[Dict[str, Tensor]], x: Tensor) -> Tuple[List[Tensor], List[Tensor]]:
    """x^0 .. x^L and z^0 .. z^L, each [units, examples]."""
    xs, zs = [x.t()], [x.t()]
    for p in phi:
        y = torch.matmul(p["W"].t(), xs[-1])
        centred = y - y.mean(1, keepdim=True)
        z = centred / torch.sqrt((centred * centred).mean(1, keepdim=True) + 1e-6) + p["b"].unsqueeze(1)
        zs.append(z)
        xs.append(torch.relu(z))
    return xs, zs

def features(self, phi: List[Dict[str, Tensor]], x: Tensor, statistics: Optional[List[Tensor]] = None) -> Tensor:
    """The last layer's activations [examples, units] of x [examples, inputs]. With statistics that calibrate has returned a
    row's features do not depend on the other rows; without, each unit is normalised over the rows given."""
    self.check(phi, x)
    if statistics is not None:
        assert len(statistics) == 2 * len(phi), \
            "{} statistics for {} layers: give what calibrate returned for this phi".format(len(statistics), len(phi))
        return self.frozen(phi, x, statistics)[-1]
    assert x.size(0) > 1, "one row without statistics: all of its features would be the same; give calibrate(phi, many rows)"
    return self.activations(phi, x)[0][-1].t()

def forward(self, phi: List[Dict[str, Tensor]], x: Tensor, statistics: Optional[List[Tensor]] = None) -> Tensor:
    return self.features(phi, x, statistics)

def batch_norm(self, x: Tensor, beta: Tensor) -> Tensor:
    centred = x - x.mean([0, 1])
    return centred / torch.sqrt((centred * centred).mean([0, 1]) + 1e-3) + beta

def conv(self, t: Dict[str, Tensor], x: Tensor, name: str, axis: int) -> Tensor:
    """Along units (axis 0) or examples (axis 1), zeros outside."""
    w = t[name + ".w"]
    lines = x.permute(1, 2, 0) if axis == 0 else x.permute(0, 2, 1)
    y = torch.conv1d(lines, w.permute(2, 1, 0), t[name + ".b"], [1], [w.size(0) // 2])
    return y.permute(2, 0, 1) if axis == 0 else y.permute(0, 2, 1)

def layer(self, t: Dict[str, Tensor], x: Tensor, name: str, axis: int) -> Tensor:
    return torch.relu(self.batch_norm(self.conv(t, x, name, axis), t[name + ".beta"]))

def linear(self, t: Dict[str, Tensor], h: Tensor, name: str) -> Tensor:
    return torch.matmul(h, t[name + ".w"]) + t[name + ".b"]

def top_signal(self, t: Dict[str, Tensor], x: Tensor) -> Tensor:
    a = self.layer(t, x.unsqueeze(2), "top.in", 1)
    for i in range(2):
        a = self.layer(t, a.permute(2, 1, 0), "top.mix." + str(i), 1).permute(2, 1, 0)
    for i in range(self.top_layers):
        a = self.layer(t, a, "top.block." + str(i), 1)
    return self.conv(t, a, "top.out", 1)

def statistics(self, w: Tensor, axis: int) -> Tensor:
    mean = w.mean(axis, keepdim=True)
    return torch.stack([w.abs().mean(axis), torch.sqrt((w * w).mean(axis) + 1e-6), w.mean(axis),
                        torch.sqrt(((w - mean) * (w - mean)).mean(axis) + 1e-8)], -1)

def hidden_state(self, t: Dict[str, Tensor], x: Tensor, z: Tensor, d: Tensor, b: Tensor, parts: List[Tensor]) -> Tensor:
    """h [units, examples, C]. parts: statistics of the matrices below and above, as many as there are."""
    units, examples = x.size(0), x.size(1)
    angle = torch.linspace(0, 12.566370614359172, units, dtype=x.dtype, device=x.device).unsqueeze(1).expand(units, examples)
    f = torch.cat([torch.stack([x, z, torch.sin(angle), torch.cos(angle)], -1), d], -1)
    f = self.batch_norm(f, t["hidden.features.beta"])
    s = torch.cat([parts[0], parts[-1]], -1)
    s = s / torch.sqrt((s * s).mean() + 1e-6)
    same = torch.cat([s, b.unsqueeze(1)], -1).unsqueeze(1).expand(units, examples, 9)
    a = torch.cat([same, f], -1)
    names = ["hidden.in"]
    for i in range(self.hidden_blocks):
        names.append("hidden.block." + str(i))
    for name in names:
        a = self.layer(t, a, name, 1)
        a = a + self.layer(t, self.layer(t, a, name + ".unit.0", 0), name + ".unit.1", 0)
    return a

def outer(self, t: Dict[str, Tensor], name: str, p: Tensor, q: Tensor) -> Tensor:
    row = self.linear(t, p, name + ".row")
    col = self.linear(t, q, name + ".col")
    return torch.matmul(row.flatten(1), col.flatten(1).t()) / (row.size(1) * row.size(2))

def symmetric(self, t: Dict[str, Tensor], name: str, h: Tensor) -> Tensor:
    r = self.outer(t, name, h, h)
    s = (r + r.t()) / float(2 * h.size(0)) ** 0.5
    return s - torch.diag(torch.diag(s))

def unit(self, x: Tensor) -> Tensor:
    centred = x - x.mean(1, keepdim=True)
    return centred / torch.sqrt((centred * centred).mean(1, keepdim=True) + 1e-6)

def by_column(self, term: Tensor) -> Tensor:
    return term / torch.sqrt(1 + (term * term).mean(0))

def weight_change(self, t: Dict[str, Tensor], weights: Tensor, x: List[Tensor], h: List[Tensor], readouts: str) -> Tensor:
    """x and h: of the layer below, of this one."""
    upper, examples = weights.size(1), x[0].size(1)
    r = readouts + "readout."
    w = weights / torch.sqrt((weights * weights).mean(0) + 1e-6)
    below, above = self.unit(x[0]), self.unit(x[1])
    c = torch.matmul(w, torch.matmul(above, above.t())) / (examples * float(upper) ** 0.5)
    psd = self.linear(t, h[1], r + "lin_upper_psd")
    psd_norm = psd.size(1) * psd.size(2) * float(upper) ** 0.5
    psd = torch.matmul(psd.flatten(1), psd.flatten(1).t()) / psd_norm
    root = torch.sqrt(1 + w * w) - 1
    terms = [
        self.outer(t, r + "w0", h[0], h[1]),
        w * self.outer(t, r + "w1", h[0], h[1]),
        c / torch.sqrt((c * c + 1e-8).mean()),
        -torch.matmul(below, above.t()) / examples,
        w * w * torch.sign(w),
        torch.matmul(self.symmetric(t, r + "lin_lower", h[0]), w),
        torch.matmul(w, psd),
        torch.matmul(w, self.symmetric(t, r + "lin_upper", h[1])),
        torch.exp(-(w * w)) * self.outer(t, r + "rbf", h[0], h[1]),
        torch.sign(w) * torch.matmul(self.symmetric(t, r + "sqr_lower", h[0]), root),
        torch.sign(w) * torch.matmul(root, self.symmetric(t, r + "sqr_upper", h[1])),
        w,
    ]
    merge = t[readouts + "merge.w"]
    change = torch.zeros_like(w) + t[readouts + "merge.b"]
    for k in range(12):
        change = change + merge[k] * self.by_column(terms[k])
    change = change / 12
    change = (change - w * torch.relu((change * w).mean())) / 12.0 ** 0.5
    return self.by_column(change) - w / 7

def step(self, phi: List[Dict[str, Tensor]], x: Tensor) -> List[Dict[str, Tensor]]:
    """One inner step on the minibatch x [examples, inputs]: the new phi. The one given stays as it is."""
    self.check(phi, x)
    t = self.theta()
    top = len(phi)
    xs, zs = self.activations(phi, x)
    d = self.top_signal(t, xs[top])
    hs = [d for _ in range(top + 1)]
    for k in range(top + 1):
        l = top - k
        parts: List[Tensor] = []
        if l > 0:
            parts.append(self.statistics(phi[l - 1]["W"], 0))
        if l < top:
            parts.append(self.statistics(phi[l]["W"], 1))
        b = phi[l - 1]["b"] if l > 0 else torch.zeros_like(xs[0][:, 0])
        hs[l] = self.hidden_state(t, xs[l], zs[l], d, b, parts)
        if l > 0:
            delta = d * torch.sigmoid(zs[l]).unsqueeze(2) + self.linear(t, hs[l], "delta")
            d = torch.matmul(phi[l - 1]["V"], delta.flatten(1)).view(phi[l - 1]["V"].size(0), delta.size(1), delta.size(2))
            d = d / torch.sqrt((d * d).mean(2, keepdim=True) + 1e-6)
    size = self.inner_step_size
    changed: List[Dict[str, Tensor]] = []
    for l in range(1, top + 1):
        p = phi[l - 1]
        dW = self.weight_change(t, p["W"], [xs[l - 1], xs[l]], [hs[l - 1], hs[l]], "")
        dV = dW
        if "backward.merge.w" in t:
            dV = self.weight_change(t, p["V"], [xs[l - 1], xs[l]], [hs[l - 1], hs[l]], "backward.")
        db = self.linear(t, hs[l], "bias").squeeze(2).mean(1)
        db = db + torch.relu(-db.mean())
        db = db / torch.sqrt(0.5 + (db * db).mean())
        changed.append({"W": (1 - size) * p["W"] - size * dW, "b": (1 - size) * p["b"] - size * db,
                        "V": (1 - size) * p["V"] - size * dV})
    return changed
)script";

// Computes the same as RowFeatures (kept_model.h) and Scaling (data/scaling.h). `layers` and `kind` are
// generated with the module.
const char* const kModelTorchScriptSource = R"script(
def scaled(self, x: Tensor) -> Tensor:
    """The inputs of the base model, from numbers in the units of the file that it was trained on."""
    x = x.double()
    if self.kind == "linear":
        return (x - self.low) / (self.high - self.low) if bool(self.high > self.low) else torch.zeros_like(x)
    if self.kind == "ranks":
        return torch.searchsorted(self.thresholds, x.t().contiguous(), right=True).t().double() / 255
    share = (x / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
    share = torch.where((self.low < self.high).expand_as(x), share, torch.zeros_like(x))
    return torch.floor(0.5 + 255 * share.clamp(0, 1)) / 255

def features(self, x: Tensor) -> Tensor:
    """Features [examples, outputs] of x [examples, inputs], each row by itself."""
    assert x.dim() == 2 and x.size(1) == self.inputs, "x {}: examples by {} inputs are wanted".format(x.size(), self.inputs)
    h = self.scaled(x)
    for W, b, mean, scale in self.layers():
        h = torch.relu((torch.matmul(h.to(W.dtype), W) - mean) / scale + b)
    return h

def forward(self, x: Tensor) -> Tensor:
    return self.features(x)
)script";

}  // namespace outerloop::rule::reference
