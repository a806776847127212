"""What a stage takes beyond its own work, and `dvc repro` beyond DVC's own."""

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
REPEATS = 5
IDLE_REPEATS = 15
"""Each takes about a second: others on the machine weigh more."""
DATASETS, STAGES = 3, 5
"""Of dvc.yaml: two of the datasets are asked for, and DVC loads all of them."""

LIBRARIES = "import sys, click, pydantic, ruamel.yaml; pydantic.create_model('Parameters', parameter=int)\n"
"""What every stage reads its command line and its parameters with."""
NEEDS = {
    "prepare": LIBRARIES + "import pandas, pyarrow.parquet, sklearn.datasets",
    "split": LIBRARIES + "import pandas, pyarrow.dataset, pyarrow.parquet",
    "train": LIBRARIES + "import safetensors.torch, torch",
    "evaluate": LIBRARIES + "import pandas, pyarrow.dataset, pyarrow.parquet, safetensors.torch, torch",
    "plot": LIBRARIES + "import matplotlib.figure, matplotlib.backends.backend_agg",
}
"""What each stage must import: the least that it can take. Runs are recorded by a process of its own, which is off here."""
WORK = {
    "prepare": ("prepare.prepare", "retrain.data.tables.write_parquet"),
    "split": (
        "retrain.data.tables.read_parquet",
        "retrain.data.splitting.split",
        "split.write_tables",
        "split.write_arrays",
    ),
    "train": (),
    "evaluate": (),
    "plot": ("matplotlib.figure.Figure.savefig",),
}
"""The functions that do a stage's own work; none where that is next to nothing for so few rows."""
CLOCK = """
import functools, importlib, pkgutil, time
sys.path.insert(0, "src")
spent = 0.0
def clocked(function):
    @functools.wraps(function)
    def call(*arguments, **options):
        global spent
        begin = time.perf_counter()
        result = function(*arguments, **options)
        spent += time.perf_counter() - begin
        return result
    return call
stage = importlib.import_module(sys.argv[1])
for path in sys.argv[2:]:
    owner, _, name = path.rpartition(".")
    owner = pkgutil.resolve_name(owner)
    setattr(owner, name, clocked(getattr(owner, name)))
stage.main(["--dataset", "diabetes"], standalone_mode=False)
print(spent)
"""


def run(command, folder, **variables):
    """Run a command; its wall time and what it printed."""
    begin = time.perf_counter()
    ended = subprocess.run(
        command, cwd=folder, env={**os.environ, **variables}, check=True, capture_output=True, text=True
    )
    return time.perf_counter() - begin, ended.stdout


def compared(taken, least, work):
    """Medians, and the median of the ratios of each turn: the machine's speed drifts from one turn to the next."""
    beyond = [one - own for one, own in zip(taken, work, strict=True)]
    return {
        "seconds": statistics.median(taken),
        "work": statistics.median(work),
        "least": statistics.median(least),
        "ratio": statistics.median(one / other for one, other in zip(beyond, least, strict=True)),
    }


def stages():
    """Each stage of the smallest dataset, trained for a single epoch, and what it must import, by turns."""
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copytree(ROOT / "src", folder / "src")
        (folder / ".git").mkdir()
        block = params.dataset_block(ROOT, "diabetes")
        block = {**block, "train": {**block["train"], "loop": {**block["train"]["loop"], "epochs": 1}}}
        with (folder / params.FILE).open("w", encoding="utf-8") as file:
            yaml_files.round_trip().dump({"datasets": {"diabetes": block}}, file)
        variables = {"DVC_ROOT": str(folder), "RETRAIN_TRACKING": "off"}
        for stage, needs in NEEDS.items():  # in order: each needs what the one before it left
            command = [sys.executable, folder / "src" / f"{stage}.py", "--dataset", "diabetes"]
            clock = [sys.executable, "-c", needs + CLOCK, stage, *WORK[stage]]
            taken, least, work = [], [], []
            for _ in range(1 + REPEATS):
                taken.append(run(command, folder, **variables)[0])
                least.append(run([sys.executable, "-c", needs], folder, **variables)[0])
                printed = run(clock, folder, **variables)[1] if WORK[stage] else "0"
                work.append(float(printed.splitlines()[-1]))
            found[stage] = compared(taken[1:], least[1:], work[1:])  # the first turn reads all from disk
    return found


def idle():
    """`dvc repro` of two datasets with nothing to do, here and in a pipeline of as many stages that have next to nothing."""
    dvc = Path(sys.executable).with_name("dvc")
    command = [dvc, "repro", "plot@docstrings", "plot@diabetes"]
    empty = [dvc, "repro", *(f"stage{number}" for number in (STAGES - 1, 2 * STAGES - 1))]
    run(command, ROOT)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
        subprocess.run([dvc, "init", "-q"], cwd=folder, check=True)
        subprocess.run([dvc, "config", "core.analytics", "false"], cwd=folder, check=True)
        stages = {
            f"stage{n}": {
                "cmd": f"echo {n} > {n}.txt",
                "deps": [f"{n - 1}.txt"] if n % STAGES else [],
                "outs": [f"{n}.txt"],
            }
            for n in range(DATASETS * STAGES)
        }
        Path(folder, "dvc.yaml").write_text(json.dumps({"stages": stages}), encoding="utf-8")
        run(empty, folder)
        taken, least = [], []
        for _ in range(IDLE_REPEATS):
            taken.append(run(command, ROOT)[0])
            least.append(run(empty, folder)[0])
    return compared(taken, least, [0.0] * IDLE_REPEATS)


def measure():
    """All of it."""
    return {"stages": stages(), "idle_repro": idle()}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
