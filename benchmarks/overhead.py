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

from retrain import params

ROOT = Path(__file__).resolve().parents[1]
REPEATS = 3
STAGES = 10

RUN = """
from mlflow import MlflowClient
client = MlflowClient(tracking_uri=sys.argv[1])
experiment = client.get_experiment_by_name("overhead") or client.get_experiment(client.create_experiment("overhead"))
run = client.create_run(experiment.experiment_id)
client.set_terminated(run.info.run_id)
"""
NEEDS = {
    "prepare": "import sys, pandas, pyarrow.parquet, sklearn.datasets",
    "split": "import sys, pandas, pyarrow.parquet",
    "train": "import sys, pandas, torch; torch.optim.SGD([torch.zeros(1, requires_grad=True)])" + RUN,
    "evaluate": "import sys, pandas, pyarrow.parquet, torch" + RUN,
    "plot": "import sys, pandas, matplotlib.pyplot" + RUN,
}
"""What each stage must import, and a run that it opens: the least that it can take."""


def seconds(command, folder, **surroundings):
    """The median wall time of a command."""
    taken = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        subprocess.run(command, cwd=folder, env={**os.environ, **surroundings}, check=True, capture_output=True)
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def stages():
    """Each stage of the smallest dataset, trained for a single epoch, beside what it must import."""
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copytree(ROOT / "src", folder / "src")
        (folder / ".git").mkdir()
        block = params.dataset_block(ROOT, "diabetes")
        block = {**block, "train": {**block["train"], "loop": {**block["train"]["loop"], "epochs": 1}}}
        with (folder / params.FILE).open("w", encoding="utf-8") as file:
            params.round_trip().dump({"datasets": {"diabetes": block}}, file)
        store = f"sqlite:///{folder / 'mlflow.db'}"
        surroundings = {"DVC_ROOT": str(ROOT), "MLFLOW_TRACKING_URI": store, "MLFLOW_DISABLE_TELEMETRY": "true"}
        for stage, needs in NEEDS.items():  # in order: each needs what the one before it left
            command = [sys.executable, folder / "src" / f"{stage}.py", "--dataset", "diabetes"]
            taken = seconds(command, folder, **surroundings)
            least = seconds([sys.executable, "-c", needs, store], folder, **surroundings)
            found[stage] = {"seconds": taken, "least": least, "ratio": taken / least}
    return found


def idle():
    """`dvc repro` with nothing to do, here and in a pipeline of as many stages that have next to nothing."""
    dvc = Path(sys.executable).with_name("dvc")
    command = [dvc, "repro", "plot@docstrings", "plot@diabetes"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    taken = seconds(command, ROOT)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
        subprocess.run([dvc, "init", "-q"], cwd=folder, check=True)
        subprocess.run([dvc, "config", "core.analytics", "false"], cwd=folder, check=True)
        stages = {f"stage{n}": {"cmd": f"echo {n} > {n}.txt", "outs": [f"{n}.txt"]} for n in range(STAGES)}
        Path(folder, "dvc.yaml").write_text(json.dumps({"stages": stages}), encoding="utf-8")
        subprocess.run([dvc, "repro"], cwd=folder, check=True, capture_output=True)
        least = seconds([dvc, "repro"], folder)
    return {"seconds": taken, "least": least, "ratio": taken / least}


def measure():
    """All of it."""
    return {"stages": stages(), "idle_repro": idle()}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
