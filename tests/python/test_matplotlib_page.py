"""docs/matplotlib.md: its program draws every figure of the program, and evaluate's table, with the numbers of the JSON.

Arguments: the folder of the sources, the program. Exit status 77: matplotlib, numpy or Fashion-MNIST is missing.
"""
import json
import os
import re
import runpy
import subprocess
import sys
import tempfile

try:
    import matplotlib
    import numpy as np
except ImportError as error:
    print(f"skipped: {error} (apt-get install python3-matplotlib python3-numpy)")
    sys.exit(77)
if not os.path.isdir("/usr/share/datasets/fashion-mnist"):
    print("skipped: no Fashion-MNIST (apt-get install dataset-fashion-mnist)")
    sys.exit(77)
matplotlib.use("Agg")
import matplotlib.pyplot as plt

sources, program = sys.argv[1], os.path.abspath(sys.argv[2])
page = open(os.path.join(sources, "docs/matplotlib.md"), encoding="utf-8").read()
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.abspath(sources), "docs/examples"))
(redraw,) = re.findall(r"```python redraw\.py\n(.*?)```", page, re.DOTALL)


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def drawn(source):
    """The axes that the page's program makes of a file, and the file's JSON."""
    plt.close("all")
    sys.argv = ["redraw.py", source, source + ".png"]
    runpy.run_path("redraw.py")
    assert os.path.getsize(source + ".png") > 5000, source
    with open(source, encoding="utf-8") as stream:
        return plt.gcf().axes, json.load(stream)


def lines_of(axes):
    """name → y of each line, in the order of the legend."""
    containers, names = axes.get_legend_handles_labels()
    return {name: np.array(container[0].get_ydata()) for name, container in zip(names, containers)}


def check_tables(source):
    axes, figure = drawn(source)
    lines = lines_of(axes[0])
    for table in figure["tables"]:
        for row in table["rows"]:
            name = f"{row['method']} {row.get('readout', '')}".strip()
            (match,) = [line for line in lines if line in (name, f"{name} {table['dataset']}")]
            assert np.isclose(lines[match], row["accuracy"]).any(), f"{source}: {row} is not drawn"
    return lines


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    with open("redraw.py", "w", encoding="utf-8") as stream:
        stream.write(redraw)
    run(program, "train", "smoke", "--run-dir", "run", "--set", "updates=10", "--set", "checkpoint.theta_snapshots=2")
    small = ["--size", "8", "--draws", "2", "--inner-steps", "3", "--out", "."]
    values = {"steps": "1,3", "widths": "5,9", "depths": "1,2", "vae-decline": "5,10", "embeddings": "0,3"}
    names = re.findall(r"^  ([a-z-]+)  .*\(\d+ draws\)$", run(program, "figure", "--help"), re.MULTILINE)
    assert len(names) >= 12, names
    for name in names:
        if name == "text":  # needs texts; its JSON has the form of `nonlinearities`
            continue
        of = "run" if name == "domains" else "run/rule.h5"
        data = "fashion_mnist" if name == "filters" else "two_moons"
        more = ["--values", values[name]] if name in values else []
        run(program, "figure", name, of, "--dataset", data, *small, *more)
        axes, figure = drawn(name + ".json")
        if "tables" in figure:
            check_tables(name + ".json")
        elif name == "explained-variance":
            lines = lines_of(axes[0])
            for curve in figure["curves"]:
                assert np.allclose(lines[curve["method"]], curve["cumulative"])
        elif name == "domains":
            (dataset,) = figure["datasets"]
            lines = lines_of(axes[0])
            for curve in dataset["curves"]:
                accuracies = [point["accuracy"] for point in curve["points"]]
                assert len(accuracies) > 1 and np.allclose(lines[f"two_moons {curve['run']}"], accuracies)
            for row in dataset["baselines"]:
                assert np.allclose(lines[f"two_moons {row['method']}"], row["accuracy"])
        elif name == "filters":
            assert len(axes) == len(figure["panels"])
            for axis, panel in zip(axes, figure["panels"]):
                image = axis.images[0].get_array()
                assert image.shape[1] == 8 * 8 and image.size >= np.size(panel["filters"])
                first = np.array(panel["filters"][0]).reshape(8, 8)
                assert np.allclose(image[:8, :8], first / np.abs(first).max())
        elif name == "embeddings":
            (embedding,) = figure["embeddings"]
            assert len(axes) == len(embedding["views"])
            for axis, view in zip(axes, embedding["views"]):
                assert np.allclose(axis.collections[0].get_offsets(), np.array(view["points"])[:, :2])
        else:
            sys.exit(f"figure {name} has a JSON of another form: teach docs/matplotlib.md to draw it")
        print(f"{name}: drawn")
    run(program, "evaluate", "run/rule.h5", "--dataset", "two_moons", "--draws", "2", "--inner-steps", "3", "--json", "e.json")
    assert len(check_tables("e.json")) > 4
