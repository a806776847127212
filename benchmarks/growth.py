"""Does time per row stay flat, and memory small, when there are 10 and 30 times as many rows?

The rows are generated from real ones, and trained by the knobs of the same workspace: `growth.py FOLDER`, where prepare of AG
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

from retrain import params

ROOT = Path(__file__).resolve().parents[1]
ROWS = 20_000
FACTORS = (1, 10, 30)
REPEATS = 3
"""What is measured of time is the median of so many runs."""


def stage(folder, name):
    """Run a stage of `growth` in a workspace; seconds, and the largest memory in MiB."""
    surroundings = {**os.environ, "DVC_ROOT": str(folder), "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}
    begin = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, folder / "src" / f"{name}.py", "--dataset", "growth"], cwd=folder, env=surroundings,
        stdout=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(process.returncode)
    unit = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - begin, usage.ru_maxrss * unit / 2**20


def measure_one(workspace, factor):
    """Prepare, split and train so many generated rows; then time features and loop from rows in memory."""
    real = workspace / "data" / "ag_news" / "prepared" / "rows.parquet"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copytree(ROOT / "src", folder / "src")
        (folder / ".git").mkdir()
        rows = folder / "data" / "raw" / "growth" / "rows.csv"
        rows.parent.mkdir(parents=True)
        # In a process of its own: what a process has in memory counts as its children's largest memory as well.
        command = [sys.executable, Path(__file__).with_name("generator.py"), real, str(ROWS * factor), rows]
        subprocess.run(command, check=True)
        block = params.dataset_block(workspace, "ag_news")
        prepare = {name: knob for name, knob in block["prepare"].items() if name != "test"}
        prepare["train"] = {"location": "data/raw/growth/rows.csv", "sha256": "unpinned"}
        prepare |= {"header": True, "rename": {}}
        block = {**block, "prepare": prepare, "split": {**block["split"], "test": 0.05}}
        with (folder / params.FILE).open("w", encoding="utf-8") as file:
            params.round_trip().dump({"datasets": {"growth": block}}, file)
        prepared, _ = stage(folder, "prepare")
        split, split_memory = stage(folder, "split")
        _, memory = stage(folder, "train")
        command = [sys.executable, Path(__file__).with_name("ours.py"), "train", folder, "growth", "1", "2", "0"]
        runs = [
            json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            for _ in range(REPEATS)
        ]
        ours = {
            name: statistics.median(run[name] for run in runs)
            for name in ("feature_seconds", "loop_seconds", "train_rows")
        }
    return {
        "rows": ROWS * factor,
        "microseconds_per_row": {
            "prepare": prepared / (ROWS * factor) * 1e6,
            "split": split / (ROWS * factor) * 1e6,
            "features": ours["feature_seconds"] / ours["train_rows"] * 1e6,
            "loop": ours["loop_seconds"] / ours["train_rows"] * 1e6,
        },
        "train_peak_mebibytes": memory,
        "split_peak_mebibytes": split_memory,
    }


def measure(workspace):
    """The figures of all sizes, and how time per row and memory grow; `workspace` has the real rows and the knobs."""
    sizes = [measure_one(workspace, factor) for factor in FACTORS]
    first, *larger = [size["microseconds_per_row"]["features"] + size["microseconds_per_row"]["loop"] for size in sizes]
    return {
        "sizes": sizes,
        "time_per_row": {str(factor): one / first for factor, one in zip(FACTORS[1:], larger, strict=True)},
        "train_memory": {
            str(factor): size["train_peak_mebibytes"] / sizes[0]["train_peak_mebibytes"]
            for factor, size in zip(FACTORS[1:], sizes[1:], strict=True)
        },
    }


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1])), indent=2))
