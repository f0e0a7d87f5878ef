"""docs/examples/numpy_rule.py: its step against the golden files, the example of docs/numpy.md, features of a kept model against the
program's.

Arguments: the folder of the sources, the program. Exit status 77: numpy or h5py is missing.
"""
import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy as np
except ImportError as error:
    print(f"skipped: {error} (apt-get install python3-numpy python3-h5py)")
    sys.exit(77)

TOLERANCE = 1e-9  # largest difference over largest entry, as for the engines in float64

root, outerloop = sys.argv[1], os.path.abspath(sys.argv[2])
os.chdir(root)
sys.dont_write_bytecode = True
sys.path.insert(0, "docs/examples")
import numpy_rule

page = open("docs/numpy.md", encoding="utf-8").read()
(example,) = re.findall(r"```python try_rule\.py\n(.*?)```", page, re.DOTALL)


def read_phi(group):
    return [{name: group[layer][name][()] for name in "WbV"} for layer in sorted(group, key=int)]


def check(file):
    """All inner steps of one golden file; the largest relative difference."""
    theta = {name: values[()] for name, values in file["theta"].items()}
    phi = read_phi(file["phi"])
    worst = 0.0
    for t, x in enumerate(file["input/x"][()], start=1):
        phi = numpy_rule.step(theta, phi, x, float(file["config"].attrs["inner_step_size"]))
        after = file[f"expected/phi_after/{t}"]
        for ours, layer in zip(phi, sorted(after, key=int)):
            for name, expected in after[layer].items():
                worst = max(worst, np.abs(ours[name] - expected[()]).max() / np.abs(expected[()]).max())
    return worst


checked = 0
for name in ("small_a", "small_b", "option_separate_backward"):
    with h5py.File(f"tests/golden/{name}.h5") as file:
        worst = check(file)
    print(f"{name}: {worst:.1e}")
    assert worst < TOLERANCE, f"{name} differs by {worst}"
    checked += 1
assert checked == 3

printed = io.StringIO()
with contextlib.redirect_stdout(printed):
    names = {}
    exec(compile(example, "docs/numpy.md, the example", "exec"), names)
print(printed.getvalue().strip())
assert printed.getvalue().strip() == "(500, 32) True", "the example's line is another"
assert names["features"].std() > 0.01, "the features are all the same"

with tempfile.TemporaryDirectory() as folder:
    rows = np.random.default_rng(1).normal(3, 2, (300, 20))
    np.save(f"{folder}/rows.npy", rows)
    for scale in ("quantiles", "columns", "array"):
        subprocess.run([outerloop, "apply", "rules/one-core-hour.h5", "--input", f"{folder}/rows.npy", "--inner-steps", "5",
                        "--scale", scale, "--output", f"{folder}/features.npy", "--save-model", f"{folder}/model.h5"],
                       check=True, stdout=subprocess.DEVNULL)  # fmt: skip
        expected = np.load(f"{folder}/features.npy")
        difference = np.abs(numpy_rule.model_features(f"{folder}/model.h5", rows) - expected).max() / expected.max()
        print(f"a kept model, {scale}: {difference:.1e}")
        assert difference < 1e-4, f"features of a kept model differ by {difference}"
