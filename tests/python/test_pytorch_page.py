#!/usr/bin/env python3
# Packages: torch numpy h5py
"""`outerloop export --torchscript` in PyTorch alone, against docs/examples/numpy_rule.py. Arguments: sources, program."""
import os
import re
import subprocess
import sys
import tempfile

import numpy as np

try:
    import torch
except ImportError as error:
    print(f"skipped: {error} (apt-get install python3-torch)")
    sys.exit(77)

sources, program = sys.argv[1:]
rule = os.path.join(sources, "rules", "one-core-hour.h5")
with open(os.path.join(sources, "docs", "pytorch.md"), encoding="utf-8") as page:
    example = re.search(r"```python\n(.*?)```", page.read(), re.S).group(1)
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(sources, "docs", "examples"))
import numpy_rule

theta, size = numpy_rule.read_rule(rule)

with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    finished = subprocess.run([program, "export", rule, "--torchscript", "rule.pt"], stderr=subprocess.PIPE, text=True)
    if finished.returncode == 2 and "cannot be loaded" in finished.stderr:
        print("skipped: this build has no reference engine")
        sys.exit(77)
    assert finished.returncode == 0, finished.stderr

    # The page as it stands.
    shown = {}
    exec(example, shown)
    assert shown["features"].shape == (500, 32) and bool(torch.isfinite(shown["features"]).all())

    # Ten steps: float32 here, double precision there.
    module = torch.jit.load("rule.pt")
    phi = module.init([64, 48, 48, 32], 5)
    plain = [{name: values.numpy().astype(float) for name, values in layer.items()} for layer in phi]
    start = [{name: values.copy() for name, values in layer.items()} for layer in plain]
    random = np.random.default_rng(0)
    for _ in range(10):
        x = random.random((32, 64)).astype(np.float32)
        phi = module.step(phi, torch.from_numpy(x))
        plain = numpy_rule.step(theta, plain, x.astype(float), size)
    for l, (ours, theirs, before) in enumerate(zip(phi, plain, start), 1):
        for name in ("W", "b", "V"):
            change = np.abs(theirs[name] - before[name]).max()
            off = np.abs(ours[name].detach().numpy() - theirs[name]).max()
            print(f"layer {l} {name}: changed by {change:.1e}, off by {off:.1e}")
            assert change > 0 and off < 1e-4 * change, "not the rule's steps"

    # Gradients by θ, for those who train on: PyTorch's own.
    for parameter in module.parameters():
        parameter.requires_grad_(True)
    module.features(module.step(phi, torch.from_numpy(x)), torch.from_numpy(x)).sum().backward()
    assert module.merge_w.grad is not None and bool(torch.isfinite(module.merge_w.grad).all())
print("passed with PyTorch", torch.__version__)
