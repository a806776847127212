"""Does time per row stay flat, and memory small, when there are 10 and 30 times as many rows?"""

import csv
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import accumulate
from pathlib import Path

from retrain import params

ROOT = Path(__file__).resolve().parents[1]
ROWS = 20_000
FACTORS = (1, 10, 30)
TITLE_WORDS, LEAD_WORDS = (7, 2), (32, 10)
"""Mean and deviation of AG News' titles and descriptions, in words."""
RANKS = 400_000
SHIFT = 2.7
"""Word frequencies fall as 1 / (rank + SHIFT): the law of Zipf and Mandelbrot, which AG News follows closely."""
OWN = 0.25
"""The share of words that a class draws from a vocabulary of its own, so that there is something to learn."""


def word(rank):
    """A word of letters for a rank: the frequent ones are short."""
    letters = ""
    while True:
        rank, letter = divmod(rank, 26)
        letters += chr(97 + letter)
        if not rank:
            return letters


def rows_like_ag_news(count, seed):
    """Rows of class, title and description whose lengths and word frequencies are like AG News'."""
    draw = random.Random(seed)  # noqa: S311 (no secrets)
    words = [word(rank) for rank in range(RANKS)]
    weights = list(accumulate(1 / (rank + SHIFT) for rank in range(RANKS)))
    for number in range(count):
        topic = number % 4
        text = []
        for mean, deviation in (TITLE_WORDS, LEAD_WORDS):
            drawn = draw.choices(words, cum_weights=weights, k=max(2, round(draw.gauss(mean, deviation))))
            text.append(" ".join(f"{one}{'wxyz'[topic]}" if draw.random() < OWN else one for one in drawn))
        yield [topic + 1, *text]


def stage(folder, name):
    """Run a stage of `growth` in a workspace; seconds, and the largest memory in MiB."""
    surroundings = {**os.environ, "DVC_ROOT": str(ROOT), "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}
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


def measure_one(factor):
    """Prepare, split and train so many rows; then time features and loop from rows in memory."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copytree(ROOT / "src", folder / "src")
        (folder / ".git").mkdir()
        rows = folder / "data" / "raw" / "growth" / "rows.csv"
        rows.parent.mkdir(parents=True)
        with rows.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows_like_ag_news(ROWS * factor, seed=1))
        block = params.dataset_block(ROOT, "ag_news")
        prepare = {name: knob for name, knob in block["prepare"].items() if name != "test"}
        prepare["train"] = {"location": "data/raw/growth/rows.csv", "sha256": "unpinned"}
        block = {**block, "prepare": prepare, "split": {**block["split"], "test": 0.05}}
        with (folder / params.FILE).open("w", encoding="utf-8") as file:
            params.round_trip().dump({"datasets": {"growth": block}}, file)
        prepared, _ = stage(folder, "prepare")
        split, split_memory = stage(folder, "split")
        _, memory = stage(folder, "train")
        command = [sys.executable, Path(__file__).with_name("ours.py"), "train", folder, "growth", "1", "2", "0"]
        ours = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
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


def measure():
    """The figures of all sizes, and how time per row and memory grow."""
    sizes = [measure_one(factor) for factor in FACTORS]
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
    print(json.dumps(measure(), indent=2))
