#!/usr/bin/env python3
"""docs/python-rules.md: builds both examples with PyTorch, meta-trains each for half a minute, and measures what they have
learned. Then what people get wrong. Arguments: sources, program."""
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import zipfile
from typing import Dict, List

import numpy as np

try:
    import torch
    from torch import Tensor
except ImportError as error:
    print(f"skipped: {error} (apt-get install python3-torch)")
    sys.exit(77)

sources, program = sys.argv[1:]
examples = os.path.join(sources, "docs", "examples", "python")
# Half a minute of each on a free core; less is for a hurried look.
seconds = float(os.environ.get("OUTERLOOP_RULE_SECONDS", "30"))
os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")


def outerloop(*arguments, code=0):
    finished = subprocess.run([program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert finished.returncode == code, (arguments, finished.returncode, finished.stdout, finished.stderr)
    return finished.stdout if code == 0 else finished.stderr


def build(example):
    """The example's module and configuration in this folder, as the page does it."""
    shutil.copy(os.path.join(examples, example + ".textproto"), example + ".textproto")
    script = os.path.join(examples, example + ".py")
    subprocess.run([sys.executable, script, example + ".pt"], check=True)


def rows(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)["tables"][0]["rows"]


def one_line(*arguments, parts):
    """The command is refused by one line with `parts`."""
    said = outerloop(*arguments, code=2)
    lines = [line for line in said.splitlines() if line]
    print(lines)
    assert len(lines) == 1, said
    for part in parts:
        assert part in said, (part, said)


def refused(module, *parts):
    """Training with this module ends with one line."""
    one_line("train", "smoke", "--set", "rule.name=torchscript", "--set", "rule.path=" + module, "--run-dir", "refused",
             parts=(module, *parts))
    assert not os.path.exists("refused")


def of_processor():
    """Seconds that finished children have computed."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime


def train(configuration, folder):
    """For `seconds` of a core, which take longer where other processes use it."""
    start, limit = of_processor(), seconds
    outerloop("train", configuration, "--set", f"seconds={limit}", "--run-dir", folder)
    while (missing := 0.9 * seconds - (of_processor() - start)) > 0:
        limit += missing
        outerloop("train", "--resume", "--run-dir", folder, "--set", f"seconds={limit}")


def plasticity_rule():
    build("oja_rule")
    train("oja_rule.textproto", "oja")
    outerloop("evaluate", "oja/rule.h5", "--dataset", "glyphs:held_out", "--draws", "10", "--baselines", "untrained",
              "--readouts", "ridge", "--json", "oja.json")
    accuracy = {row["method"]: row["accuracy"] for row in rows("oja.json")}
    print("plasticity rule:", accuracy)
    assert accuracy["rule"] > accuracy["untrained"] + OJA_MARGIN


def learned_optimizer():
    build("learned_optimizer")
    train("learned_optimizer.textproto", "optimizer")
    outerloop("evaluate", "optimizer/rule.h5", "--dataset", "glyphs:held_out", "--draws", "8", "--json", "optimizer.json")
    losses = {}
    for row in rows("optimizer.json"):
        losses.setdefault(row["method"], {})[row["steps"]] = row["loss"]
    at_horizon = {method: by_step[40] for method, by_step in losses.items()}
    print("learned optimizer: loss after 40 steps:", at_horizon)
    assert at_horizon["rule"] < OPTIMIZER_SHARE * at_horizon["untrained"]


def a_rule_file_is_enough():
    """The module travels in rule.h5: inspect, resume, apply, a kept model, export."""
    os.remove("oja_rule.pt")
    outerloop("inspect", "oja/rule.h5", "--json", "inspect.json")
    with open("inspect.json", encoding="utf-8") as file:
        assert json.load(file)["module_bytes"] > 1000
    outerloop("train", "--resume", "--run-dir", "oja", "--set", "seconds=0", "--set", "updates=1")
    x = np.random.default_rng(0).random((300, 64))
    np.save("x.npy", x)
    np.save("first.npy", x[:1])
    outerloop("apply", "oja/rule.h5", "--input", "x.npy", "--output", "y.npy", "--inner-steps", "20", "--save-model",
              "model.h5")
    outerloop("apply", "--model", "model.h5", "--input", "x.npy", "--output", "again.npy")
    outerloop("apply", "--model", "model.h5", "--input", "first.npy", "--output", "alone.npy")
    y = np.load("y.npy")
    assert y.shape == (300, 32) and y.std() > 0
    assert np.abs(y - np.load("again.npy")).max() < 1e-4 * np.abs(y).max()
    assert np.abs(y[:1] - np.load("alone.npy")).max() < 1e-4 * np.abs(y).max()
    assert "not run" in outerloop("inspect", "model.h5")
    outerloop("figure", "filters", "oja/rule.h5", "--dataset", "glyphs:held_out", "--out", "figures")
    with open("figures/filters.json", encoding="utf-8") as file:
        panels = json.load(file)["panels"]
    assert [len(panel["filters"]) for panel in panels] == [32, 32, 32]
    assert len(panels[0]["filters"][0]) == 64 and panels[0]["filters"] != panels[1]["filters"]
    one_line("figure", "nonlinearities", "oja/rule.h5", parts=["oja/rule.h5 is a module, which has its own"])
    outerloop("export", "oja/rule.h5", "--torchscript", "trained.pt")
    outerloop("export", "oja/rule.h5", "--safetensors", "trained.safetensors")
    trained = torch.jit.load("trained.pt")
    assert trained.terms.tolist() != [1.0, 1.0, 0.0, 0.0]
    outerloop("train", "oja_rule.textproto", "--set", "rule.path=trained.pt", "--set", "seconds=0", "--set", "updates=2",
              "--run-dir", "from_export")


def theta_of(run):
    with open(os.path.join(run, "result.json"), encoding="utf-8") as file:
        return json.load(file)["theta_sha256"]


def the_same_bits():
    """An exported rule as a module: deterministic mode with one worker, with two, and stopped in between."""
    outerloop("train", "smoke", "--run-dir", "smoke")
    outerloop("export", "smoke/rule.h5", "--torchscript", "exported.pt")
    module = ["--set", "rule.name=torchscript", "--set", "rule.path=exported.pt", "--set", "mode=deterministic",
              "--set", "checkpoint.every_updates=3"]
    outerloop("train", "smoke", *module, "--set", "updates=6", "--run-dir", "alone")
    ranks = [os.path.join(sources, "scripts", "mpirun"), "-n", "3", program, "train", "smoke", *module]
    subprocess.run([*ranks, "--set", "updates=6", "--run-dir", "together"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*ranks, "--set", "updates=4", "--run-dir", "stopped"], check=True, stdout=subprocess.DEVNULL)
    os.remove("exported.pt")
    outerloop("train", "--resume", "--run-dir", "stopped", "--set", "updates=6")
    assert theta_of("alone") == theta_of("together") == theta_of("stopped")
    assert theta_of("alone") != theta_of("smoke")


class Traced(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.rate = torch.nn.Parameter(torch.tensor(0.1))

    def forward(self, x):
        return self.rate * x


def rewritten(module, result, change):
    """A copy of a module's file with the records that `change` returns other bytes for."""
    with zipfile.ZipFile(module) as old, zipfile.ZipFile(result, "w", zipfile.ZIP_STORED) as new:
        for record in old.infolist():
            new.writestr(record.filename, change(record.filename, old.read(record.filename)))


class Half(torch.nn.Module):
    """Feature averages that follow the inputs; `drift` is learned, but its share of the gradient is cut."""

    def __init__(self):
        super().__init__()
        self.output_units = 2
        self.rate = torch.nn.Parameter(torch.tensor(0.1))
        self.drift = torch.nn.Parameter(torch.tensor(0.2))

    @torch.jit.export
    def init(self, sizes: List[int], seed: int) -> List[Dict[str, Tensor]]:
        return [{"weights": torch.sin(torch.arange(sizes[0] * 2) + float(seed % 100)).view(sizes[0], 2)}]

    @torch.jit.export
    def features(self, phi: List[Dict[str, Tensor]], x: Tensor) -> Tensor:
        return torch.tanh(torch.matmul(x, phi[0]["weights"]))

    @torch.jit.export
    def step(self, phi: List[Dict[str, Tensor]], x: Tensor) -> List[Dict[str, Tensor]]:
        moved = self.rate * torch.matmul(x.t(), self.features(phi, x)) / x.size(0)
        return [{"weights": phi[0]["weights"] + moved + (self.drift * phi[0]["weights"]).detach()}]


class Holder(Half):
    def __init__(self, part):
        super().__init__()
        self.part = part

    @torch.jit.export
    def features(self, phi: List[Dict[str, Tensor]], x: Tensor) -> Tensor:
        return torch.tanh(self.part(torch.matmul(x, phi[0]["weights"])))


doubled = torch.jit.trace(lambda x: 2 * x, torch.zeros(3))


class Caller(Half):
    @torch.jit.export
    def features(self, phi: List[Dict[str, Tensor]], x: Tensor) -> Tensor:
        return torch.tanh(doubled(torch.matmul(x, phi[0]["weights"])))


def gradients():
    """Every module's gradient is that of central differences, but for one that is cut by half."""
    for name in ("oja_rule", "learned_optimizer"):
        build(name)
        print(outerloop("bench", "gradient", name + ".textproto"))
    torch.jit.script(Half()).save("half.pt")
    said = outerloop("bench", "gradient", "smoke", "--set", "rule.name=torchscript", "--set", "rule.path=half.pt",
                     code=1)
    assert "the gradient by drift is wrong" in said, said


def mistakes():
    build("oja_rule")
    torch.jit.trace(Traced(), torch.zeros(3)).save("traced.pt")
    refused("traced.pt", "lacks the method init", "torch.jit.script")
    part = torch.nn.Linear(2, 2)
    torch.jit.script(Holder(torch.jit.trace(part, torch.zeros(12, 2)))).save("holder.pt")
    refused("holder.pt", "holds the traced submodule part", "torch.jit.script")
    torch.jit.script(Holder(part)).save("scripted.pt")
    outerloop("train", "smoke", "--set", "rule.name=torchscript", "--set", "rule.path=scripted.pt", "--set", "updates=1",
              "--run-dir", "scripted")
    said = outerloop("figure", "filters", "scripted/rule.h5", "--dataset", "glyphs", code=2)
    assert "has no tensor 1/W [64, units]" in said.splitlines()[-1], said
    torch.jit.script(Caller()).save("caller.pt")
    refused("caller.pt", "calls a traced function in features", "torch.jit.script")
    torch.save({"rate": torch.tensor(0.1)}, "weights.pt")
    refused("weights.pt", "no TorchScript module")
    refused("missing.pt", "cannot be read")
    rewritten("oja_rule.pt", "newer.pt", lambda name, old: b"99\n" if name.endswith("/version") else old)
    refused("newer.pt", "newer PyTorch")
    fused = outerloop("train", "oja_rule.textproto", "--set", "engine.kind=fused", "--run-dir", "refused", code=2)
    assert fused.count("\n") == 1 and "engine.kind" in fused, fused
    both = outerloop("train", "smoke", "--set", "rule.path=oja_rule.pt", "--run-dir", "refused", code=2)
    assert "rule.path is for rule.name = torchscript" in both, both


def saved_on_a_gpu():
    """The device is a word in the pickle: as if the tensors had been there."""
    cpu, cuda = b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"
    rewritten("oja_rule.pt", "gpu.pt", lambda name, old: old.replace(cpu, cuda) if name.endswith("data.pkl") else old)
    with zipfile.ZipFile("gpu.pt") as file:
        assert any(cuda in file.read(name) for name in file.namelist())
    outerloop("train", "oja_rule.textproto", "--set", "rule.path=gpu.pt", "--set", "seconds=0", "--set", "updates=2",
              "--run-dir", "gpu")


# As the page says.
OJA_MARGIN = 0.03
OPTIMIZER_SHARE = 0.6

with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    sys.dont_write_bytecode = True
    gradients()
    plasticity_rule()
    learned_optimizer()
    a_rule_file_is_enough()
    the_same_bits()
    mistakes()
    saved_on_a_gpu()
