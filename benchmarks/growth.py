"""Does time per row stay flat, and memory small, when there are 10 and 30 times as many rows?

The rows are generated from real ones, and trained by the parameters of the same workspace: `growth.py FOLDER`, where prepare of AG
News has run.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from retrain import params, yaml_files

ROOT = Path(__file__).resolve().parents[1]
ROWS = 20_000
FACTORS = (1, 10, 30)
REPEATS = 5
"""So often features and loop are timed, all sizes by turns."""


def stage(folder, name):
    """Run a stage of `growth` in a workspace; seconds, and the largest memory in MiB."""
    variables = {**os.environ, "DVC_ROOT": str(folder), "RETRAIN_TRACKING": "off"}
    begin = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, folder / "src" / f"{name}.py", "--dataset", "growth"], cwd=folder, env=variables,
        stdout=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(process.returncode)
    unit = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - begin, usage.ru_maxrss * unit / 2**20


def generated(workspace, folder, factor):
    """Prepare, split and train so many generated rows in a new workspace.

    Returns:
        Microseconds per row of prepare and split, and the largest memory of split and train in MiB.
    """
    real = workspace / "data" / "ag_news" / "prepared" / "rows.parquet"
    shutil.copytree(ROOT / "src", folder / "src")
    (folder / ".git").mkdir()
    rows = folder / "data" / "raw" / "growth" / "rows.csv"
    rows.parent.mkdir(parents=True)
    # In a process of its own: what a process has in memory counts as its children's largest memory as well.
    command = [sys.executable, Path(__file__).with_name("generator.py"), real, str(ROWS * factor), rows]
    subprocess.run(command, check=True)
    block = params.dataset_block(workspace, "ag_news")
    prepare = {name: parameter for name, parameter in block["prepare"].items() if name != "test"}
    prepare["train"] = {"location": "data/raw/growth/rows.csv", "sha256": "unpinned"}
    prepare |= {"header": True, "rename": {}}
    block = {**block, "prepare": prepare, "split": {**block["split"], "test": 0.05}}
    with (folder / params.FILE).open("w", encoding="utf-8") as file:
        yaml_files.round_trip().dump({"datasets": {"growth": block}}, file)
    taken = {}
    taken["prepare"], _ = stage(folder, "prepare")
    taken["split"], split_memory = stage(folder, "split")
    _, memory = stage(folder, "train")
    return {
        "microseconds_per_row": {name: seconds / (ROWS * factor) * 1e6 for name, seconds in taken.items()},
        "train_peak_mebibytes": memory,
        "split_peak_mebibytes": split_memory,
    }


def timed(folder):
    """Seconds of features and of the loop, from rows in memory, and how many train rows there are; in a process of its own."""
    command = [sys.executable, Path(__file__).with_name("ours.py"), "train", folder, "growth", "1", "0"]
    run = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {"features": run["feature_seconds"], "loop": run["loop_seconds"], "train_rows": run["train_rows"]}


def measure(workspace):
    """The figures of all sizes, and how time per row and memory grow; `workspace` has the real rows and the parameters.

    Features and loop are timed by turns, all sizes in each, since the machine's speed drifts.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folders = {factor: Path(temporary, str(factor)) for factor in FACTORS}
        sizes = {factor: generated(workspace, folder, factor) for factor, folder in folders.items()}
        for _ in range(REPEATS):
            for factor, folder in folders.items():
                sizes[factor].setdefault("turns", []).append(timed(folder))
    sizes = [{"rows": ROWS * factor, **size} for factor, size in sizes.items()]
    return {"sizes": sizes, **growth_of(sizes)}


def growth_of(sizes):
    """Time per row (the median of all turns) and memory of train, relative to the smallest size."""
    first, *larger = [statistics.median(per_row(size["turns"])) for size in sizes]
    memory = [size["train_peak_mebibytes"] / sizes[0]["train_peak_mebibytes"] for size in sizes[1:]]
    return {
        "time_per_row": {str(factor): size / first for factor, size in zip(FACTORS[1:], larger, strict=True)},
        "train_memory": dict(zip(map(str, FACTORS[1:]), memory, strict=True)),
    }


def per_row(turns):
    """Microseconds per train row of features and loop together, of each turn."""
    return [(turn["features"] + turn["loop"]) / turn["train_rows"] * 1e6 for turn in turns]


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1])), indent=2))
