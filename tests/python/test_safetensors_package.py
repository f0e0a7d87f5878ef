#!/usr/bin/env python3
# Packages: safetensors numpy h5py
"""`outerloop export --safetensors` as the PyPI package safetensors reads it. Arguments: sources, program."""
import os
import subprocess
import sys
import tempfile

import h5py
import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file

sources, program = sys.argv[1:]
rule = os.path.join(sources, "rules", "one-core-hour.h5")
with tempfile.TemporaryDirectory() as folder, h5py.File(rule) as file:
    for which, group in (("average", "theta_average"), ("last", "theta")):
        path = os.path.join(folder, which + ".safetensors")
        subprocess.run([program, "export", rule, "--safetensors", path, "--theta", which], check=True)
        tensors = load_file(path)
        assert set(tensors) == set(file[group]), "other names"
        for name, values in file[group].items():
            assert tensors[name].dtype == np.float32 and tensors[name].shape == values.shape, name
            assert tensors[name].tobytes() == values[()].tobytes(), f"{name} has other bits"
        with safe_open(path, framework="numpy") as opened:
            metadata = opened.metadata()
        assert metadata["theta"] == which and metadata["rule"] == "neuron_local", metadata
        assert metadata["update"] == str(file.attrs["update"]) and "inner_step_size" in metadata["config"]
        assert metadata["axes.top.in.w"] == file["theta/top.in.w"].attrs["axes"].decode()
        print(which, len(tensors), "tensors, every bit the same")
