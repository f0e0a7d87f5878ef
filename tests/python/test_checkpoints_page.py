"""docs/checkpoints.md's examples on a rule and a checkpoint of the program itself, and what h5ls and h5dump say.

Arguments: the folder of the sources, the program. Exit status 77: numpy or h5py is missing.
"""
import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile

try:
    import h5py
except ImportError as error:
    print(f"skipped: {error} (apt-get install python3-h5py)")
    sys.exit(77)

sources, program = sys.argv[1:]
page = open(os.path.join(sources, "docs/checkpoints.md"), encoding="utf-8").read()
examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
assert len(examples) == 3, "the page has other examples"


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    run(program, "train", "smoke", "--set", "updates=3", "--run-dir", "runs/first")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        names = {}
        for example in examples:
            exec(compile(example, "docs/checkpoints.md", "exec"), names)
    assert "top.in.w (5, 1, 4) kernel,channel_in,channel_out" in printed.getvalue(), printed.getvalue()
    assert "\nupdate 3.0 " in printed.getvalue(), printed.getvalue()
    for file in ("rule.h5", "checkpoints/000000003.h5"):
        path = os.path.join("runs/first", file)
        if shutil.which("h5ls"):
            assert "/theta/top.in.w" in run("h5ls", "-r", path)
            assert "neuron_local" in run("h5dump", "-a", "/rule", path)
        with h5py.File(path) as opened:
            labelled = []

            def check(name, dataset):
                """Each axis of each dataset has a name, twice: in `axes`, and as HDF5's label or as a scale of that name."""
                if not isinstance(dataset, h5py.Dataset) or dataset.ndim == 0:
                    return
                axes = dataset.attrs["axes"].decode().split(",")
                assert len(axes) == dataset.ndim, f"{file}: {name} has axes {axes}"
                if not h5py.h5ds.is_scale(dataset.id):
                    assert [axis.label for axis in dataset.dims] == axes, f"{file}: {name} is labelled otherwise"
                labelled.append(name)

            opened.visititems(check)
            assert len(labelled) >= 2 * len(opened["theta"]), "few datasets with axes"
            for name, column in opened.get("history", {}).items():
                if name != "update":
                    assert column.dims[0].keys() == ["update"], f"{file}: {name} has no scale"
                    assert column.dims[0][0] == opened["history/update"]
            assert file == "rule.h5" or h5py.h5ds.is_scale(opened["history/update"].id)
        if shutil.which("h5dump") and file != "rule.h5":
            assert "DIMENSION_SCALE" in run("h5dump", "-A", "-d", "/history/update", path)
