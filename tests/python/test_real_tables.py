"""scripts/dev/real-tables: which tables it writes, that nothing in them is missing, and that outerloop reads them.

Arguments: the folder of the sources, the executable. Exit status 77: numpy is missing, or the registries are.
"""
import json
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError as error:
    print(f"skipped: {error} (apt-get install python3-numpy)")
    sys.exit(77)

# Rows of classes with 20 rows or more, columns and such classes.
EXPECTED = {
    "glass": (175, 9, 3), "house_votes": (435, 16, 2), "income": (8993, 42, 9), "ionosphere": (351, 34, 2),
    "musk": (476, 166, 2), "pima": (768, 8, 2), "shuttle": (57977, 9, 5), "sonar": (208, 60, 2),
    "soybean": (630, 61, 15), "ticdata": (9822, 132, 2), "zoo": (61, 16, 2),
}
# Columns of one value: of zoo for want of the small classes.
CONSTANT = {"ionosphere": 1, "zoo": 3}
UNPACKED = {"Shuttle", "Sonar", "Ionosphere", "Glass", "Soybean", "PimaIndiansDiabetes", "HouseVotes84", "Zoo", "musk",
            "ticdata", "income"}

root, executable = sys.argv[1:3]
script = os.path.join(root, "scripts/dev/real-tables")
kept = os.path.join(os.environ.get("XDG_CACHE_HOME", "/var/tmp"), "outerloop/real-tables")


def run(*command):
    return subprocess.run(command, text=True, capture_output=True)


def check_arrays(folder):
    names = sorted(f[: -len(".labels.npy")] for f in os.listdir(folder) if f.endswith(".labels.npy"))
    assert names == sorted(EXPECTED), names
    for name, (rows, columns, classes) in EXPECTED.items():
        x, labels = np.load(f"{folder}/{name}.npy"), np.load(f"{folder}/{name}.labels.npy")
        assert x.dtype == np.float32 and x.shape == (rows, columns), (name, x.dtype, x.shape)
        assert labels.shape == (rows,), (name, labels.shape)
        assert np.isfinite(x).all(), name
        assert len(np.unique(labels)) == classes and np.bincount(labels)[np.unique(labels)].min() >= 20, name
        assert (x.min(0) == x.max(0)).sum() == CONSTANT.get(name, 0), name
    votes = np.load(f"{folder}/house_votes.npy")
    assert set(np.unique(votes)) == {0.0, 1.0}
    # Nine categories without an order, behind sex and marital status (5): one column each, at most one of them is 1.
    occupation = np.load(f"{folder}/income.npy")[:, 8:17]
    assert set(np.unique(occupation)) == {0.0, 1.0} and set(occupation.sum(1)) == {0.0, 1.0}


with tempfile.TemporaryDirectory() as folder:
    result = run(script, folder)
    print(result.stdout + result.stderr)
    if result.returncode:
        sys.exit(result.returncode)
    check_arrays(folder)
    unpacked = {f[: -len(".rda")] for f in os.listdir(f"{kept}/tables")}
    assert unpacked == UNPACKED, unpacked
    checked = run(executable, "data", "check", f"npy:{folder}/soybean.npy", "--json", f"{folder}/check.json")
    assert checked.returncode == 0, checked.stderr
    with open(f"{folder}/check.json", encoding="utf-8") as file:
        entry = json.load(file)["datasets"][0]
    assert (entry["examples"], entry["inputs"], entry["classes"]) == EXPECTED["soybean"], entry
    assert run(script).returncode == 2
    assert run(script, folder, "--root", root).returncode == 2
    assert run(script, folder, "--rows", "few").returncode == 2
