"""Reads the JSON of `outerloop figure` and of `outerloop evaluate` for docs/matplotlib.md."""
import json

import numpy as np


def read_figure(path):
    """Title, lines and panels of a figure.

    lines: name → list of (x, y, half of the 95 % interval); x is a number, or the name of a condition.
    panels: list of (title, name of a method of matplotlib's Axes, its arguments, its options).
    """
    with open(path, encoding="utf-8") as stream:
        figure = json.load(stream)
    lines, panels = {}, []
    for table in figure.get("tables", []):
        add_table(table, lines)
    for curve in figure.get("curves", []):  # explained-variance
        lines[curve["method"]] = list(zip(range(1, 1 + len(curve["ci95"])), curve["cumulative"], curve["ci95"]))
    for dataset in figure.get("datasets", []):  # domains
        add_runs(dataset, lines)
    for panel in figure.get("panels", []):  # filters
        image = mosaic(panel["filters"], figure["size"])
        panels.append((panel["title"], "imshow", [image], {"cmap": "gray", "vmin": -1, "vmax": 1}))
    for embedded in figure.get("embeddings", []):
        for view in embedded["views"]:
            title = f"{embedded['dataset']}, {view['steps']} steps"
            first_two = np.array(view["points"]).T[:2]
            panels.append((title, "scatter", first_two, {"c": embedded["labels"], "s": 3}))
    return figure.get("figure", "evaluation"), lines, panels


def add_table(table, lines):
    """Accuracy over inner steps, over the value that differs between tables, or over the table's dataset."""
    steps = sorted({row["steps"] for row in table["rows"] if "steps" in row})
    side = f" {table['size']}" if table.get("size") else ""
    x = table.get("condition_value", table.get("condition", table["dataset"] + side))
    for row in table["rows"]:
        name = " ".join([row["method"], row.get("readout", ""), table["dataset"] if steps else ""]).strip()
        for at in [row["steps"]] if "steps" in row else steps or [x]:  # without steps: a horizontal line
            lines.setdefault(name, []).append((at, row["accuracy"], row["ci95"]))


def add_runs(dataset, lines):
    """Accuracy over the updates of each run; baselines are horizontal lines."""
    for curve in dataset["curves"]:
        lines[f"{dataset['dataset']} {curve['run']}"] = [
            (point["update"], point["accuracy"], point["ci95"]) for point in curve["points"]
        ]
    updates = sorted({point["update"] for curve in dataset["curves"] for point in curve["points"]})
    for row in dataset["baselines"]:
        lines[f"{dataset['dataset']} {row['method']}"] = [(x, row["accuracy"], row["ci95"]) for x in updates]


def mosaic(filters, side):
    """Filters [side · side] as one image, eight in a row, each on a scale of its own from -1 to 1."""
    tiles = np.array([np.divide(values, np.max(np.abs(values)) or 1) for values in filters]).reshape(-1, side, side)
    tiles = np.concatenate([tiles, np.zeros((-len(tiles) % 8, side, side))]).reshape(-1, 8, side, side)
    return tiles.swapaxes(1, 2).reshape(-1, 8 * side)
