"""The update rule neuron_local in numpy and h5py alone (docs/update-rule.md), in double precision.

Meant to be read, not to be fast. docs/numpy.md shows how to use it.
"""
import re

import h5py
import numpy as np


def read_rule(path):
    """theta as arrays by name (its running average where there is one), and the inner step size."""
    with h5py.File(path) as file:
        assert file.attrs["rule"] == b"neuron_local"
        group = file["theta_average"] if "theta_average" in file else file["theta"]
        theta = {name: values[()].astype(float) for name, values in group.items()}
        config = file["config"][()].decode()
    return theta, float(re.search(r"inner_step_size: (\S+)", config).group(1))


def relu(x):
    return np.maximum(x, 0)


def conv(x, theta, name, axis):
    """Cross-correlation along units (axis 0) or examples (axis 1), zeros outside. x [units, examples, channels]."""
    weights = theta[name + ".w"]
    padding = [(0, 0)] * 3
    padding[axis] = (len(weights) // 2,) * 2
    padded = np.pad(x, padding)
    taps = (np.take(padded, range(j, j + x.shape[axis]), axis) @ w for j, w in enumerate(weights))
    return sum(taps) + theta[name + ".b"]


def batch_norm(x, beta, epsilon=1e-3):
    """Per channel, over units and examples."""
    centred = x - x.mean((0, 1))
    return centred / np.sqrt((centred**2).mean((0, 1)) + epsilon) + beta


def layer(x, theta, name, axis):
    return relu(batch_norm(conv(x, theta, name, axis), theta[name + ".beta"]))


def linear(h, theta, name):
    return h @ theta[name + ".w"] + theta[name + ".b"]


def count(theta, name):
    """How many of name.0, name.1, ... there are."""
    return len({key.split(".")[2] for key in theta if key.startswith(name + ".")})


def forward(phi, x):
    """Activations x^0 .. x^L and pre-activations z^0 .. z^L, each [examples, units]. phi: a list of {W, b, V}."""
    xs, zs = [x], [x]
    for p in phi:
        y = xs[-1] @ p["W"]
        zs.append((y - y.mean(0)) / np.sqrt(y.var(0) + 1e-6) + p["b"])
        xs.append(relu(zs[-1]))
    return xs, zs


def top_signal(theta, x):
    """d^L [units, examples, D] from the features x^L [examples, units]."""
    a = layer(x.T[:, :, None], theta, "top.in", axis=1)
    for i in range(2):  # here the units are the channels
        a = layer(a.transpose(2, 1, 0), theta, f"top.mix.{i}", axis=1).transpose(2, 1, 0)
    for i in range(count(theta, "top.block")):
        a = layer(a, theta, f"top.block.{i}", axis=1)
    return conv(a, theta, "top.out", axis=1)


def statistics(W, axis):
    return np.stack([np.abs(W).mean(axis), np.sqrt((W**2).mean(axis) + 1e-6), W.mean(axis),
                     np.sqrt(W.var(axis) + 1e-8)], -1)  # fmt: skip


def hidden_state(theta, x, z, d, b, incoming, outgoing):
    """h [units, examples, C]. incoming and outgoing: the layer's two weight matrices, None where there is none."""
    units, examples = x.shape[1], x.shape[0]
    angle = np.linspace(0, 4 * np.pi, units)[:, None] + np.zeros(examples)
    features = np.concatenate([np.stack([x.T, z.T, np.sin(angle), np.cos(angle)], -1), d], -1)
    features = batch_norm(features, theta["hidden.features.beta"])
    parts = [] if incoming is None else [statistics(incoming, 0)]
    parts += [] if outgoing is None else [statistics(outgoing, 1)]
    s = np.concatenate([parts[0], parts[-1]], -1)
    s = s / np.sqrt((s**2).mean() + 1e-6)
    same = np.concatenate([s, b[:, None]], -1)[:, None, :] + np.zeros((units, examples, 1))
    a = np.concatenate([same, features], -1)
    for name in ["hidden.in"] + [f"hidden.block.{i}" for i in range(count(theta, "hidden.block"))]:
        a = layer(a, theta, name, axis=1)
        a = a + layer(layer(a, theta, name + ".unit.0", axis=0), theta, name + ".unit.1", axis=0)
    return a


def weight_change(theta, W, x_lower, x_upper, h_lower, h_upper, readouts=""):
    """The change of one matrix [lower, upper]."""
    lower, upper = W.shape
    examples = len(x_lower)
    w = W / np.sqrt((W**2).mean(0) + 1e-6)

    def outer(name, p, q):
        row, col = (linear(h, theta, f"{readouts}readout.{name}.{side}") for h, side in ((p, "row"), (q, "col")))
        return np.einsum("ibg,jbg->ij", row, col) / (row.shape[-1] * examples)

    def symmetric(name, h):
        r = outer(name, h, h)
        s = (r + r.T) / np.sqrt(2 * len(h))
        return s - np.diag(np.diag(s))

    def unit(x):
        centred = x - x.mean(0)
        return centred / np.sqrt((centred**2).mean(0) + 1e-6)

    u, l = unit(x_upper), unit(x_lower)
    c = w @ (u.T @ u) / (examples * np.sqrt(upper))
    r = linear(h_upper, theta, readouts + "readout.lin_upper_psd")
    psd = np.einsum("ibg,jbg->ij", r, r) / (r.shape[-1] * examples * np.sqrt(upper))
    root = np.sqrt(1 + w**2) - 1
    terms = [
        outer("w0", h_lower, h_upper),
        w * outer("w1", h_lower, h_upper),
        c / np.sqrt((c**2 + 1e-8).mean()),
        -l.T @ u / examples,
        w**2 * np.sign(w),
        symmetric("lin_lower", h_lower) @ w,
        w @ psd,
        w @ symmetric("lin_upper", h_upper),
        np.exp(-(w**2)) * outer("rbf", h_lower, h_upper),
        np.sign(w) * (symmetric("sqr_lower", h_lower) @ root),
        np.sign(w) * (root @ symmetric("sqr_upper", h_upper)),
        w,
    ]

    def n(t):
        return t / np.sqrt(1 + (t**2).mean(0))

    merge = theta[readouts + "merge.w"]
    change = (sum(m * n(t) for m, t in zip(merge, terms)) + theta[readouts + "merge.b"]) / 12
    change = (change - w * relu((change * w).mean())) / np.sqrt(12)
    return n(change) - w / 7


def step(theta, phi, x, size):
    """One inner step on the minibatch x [examples, inputs]: the new phi."""
    xs, zs = forward(phi, x)
    top = len(phi)
    d = top_signal(theta, xs[top])
    h = [None] * (top + 1)
    for l in range(top, -1, -1):
        b = phi[l - 1]["b"] if l > 0 else np.zeros(x.shape[1])
        incoming = phi[l - 1]["W"] if l > 0 else None
        outgoing = phi[l]["W"] if l < top else None
        h[l] = hidden_state(theta, xs[l], zs[l], d, b, incoming, outgoing)
        if l > 0:
            delta = d / (1 + np.exp(-zs[l].T[:, :, None])) + linear(h[l], theta, "delta")
            d = np.einsum("ij,jbc->ibc", phi[l - 1]["V"], delta)
            d = d / np.sqrt((d**2).mean(-1, keepdims=True) + 1e-6)
    changed = []
    for l, p in enumerate(phi, start=1):
        states = (xs[l - 1], xs[l], h[l - 1], h[l])
        dW = weight_change(theta, p["W"], *states)
        dV = weight_change(theta, p["V"], *states, readouts="backward.") if "backward.merge.w" in theta else dW
        db = linear(h[l], theta, "bias")[..., 0].mean(1)
        db = db + relu(-db.mean())
        db = db / np.sqrt(0.5 + (db**2).mean())
        changed.append({name: (1 - size) * p[name] - size * change
                        for name, change in (("W", dW), ("b", db), ("V", dV))})  # fmt: skip
    return changed


def model_features(path, x):
    """x [examples, inputs], in the units of the file that the model was trained on."""
    with h5py.File(path) as f:
        low, high = f["scaling/numbers"][()].T
        x = (x - low) / np.where(high > low, high - low, np.inf)
        if f["scaling/numbers"].attrs["kind"] != b"linear":
            x = np.floor(0.5 + 255 * np.clip(x, 0, 1)) / 255
        for l in range(1, len(f["units"])):
            mean, scale = (f[f"statistics/{l}/{name}"][()] for name in ("mean", "scale"))
            x = relu((x @ f[f"phi/{l}/W"][()] - mean) / scale + f[f"phi/{l}/b"][()])
        return x
