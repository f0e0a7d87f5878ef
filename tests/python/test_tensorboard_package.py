#!/usr/bin/env python3
# Packages: tensorboard setuptools<81
"""A run's event files as TensorBoard itself reads them, over a resume. Arguments: sources, program."""
import json
import os
import subprocess
import sys
import tempfile

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

sources, program = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder:
    run = os.path.join(folder, "run")
    train = [program, "train", "smoke", "--run-dir", run, "--set", "checkpoint.every_updates=2", "--set"]
    subprocess.run(train + ["updates=6"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([program, "train", "--resume", "--run-dir", run, "--set", "updates=9"], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    with open(os.path.join(run, "metrics.jsonl"), encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    updates = [line for line in lines if "event" not in line]
    assert [line["update"] for line in updates] == list(range(1, 10))

    board = EventAccumulator(run, size_guidance={name: 0 for name in ("scalars", "histograms", "images", "tensors")})
    board.Reload()
    tags = board.Tags()
    for name in ("meta_objective", "gradient_norm", "staleness_mean", "gradients_per_second"):
        curve = board.Scalars(name)
        assert [point.step for point in curve] == list(range(1, 10)), f"{name}: {[p.step for p in curve]}"
        for point, line in zip(curve, updates):
            assert abs(point.value - line[name]) <= 1e-6 * abs(line[name]), f"{name} at {point.step}"
    assert len(board.Scalars("meta_objective/glyphs")) >= 1
    theta = board.Histograms("theta/top.in.w")
    assert [point.step for point in theta] == [0, 2, 4, 6, 8, 9], [point.step for point in theta]
    assert all(point.histogram_value.num == 20 for point in theta)
    assert sum(point.histogram_value.num for point in board.Histograms("staleness")) == 36
    text = board.Tensors("config")[0].tensor_proto.string_val[0].decode()
    assert "updates: 6" in text
    assert board.Images("filters")[0].encoded_image_string.startswith(b"\x89PNG")
    print(len(tags["scalars"]), "curves,", len(tags["histograms"]), "histograms,", len(tags["images"]), "picture")
