"""`make bench`: ours beside fastText and others, on the same rows, in one run; `make bench-quick` in two minutes.

Writes results.json, a table into README.md, and frontier.png. All figures of time are medians of alternating runs.
"""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from retrain import cli, environment, files, params
from retrain.errors import RetrainError

import click
import growth
import overhead
import report
import small

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OTHERS = HERE / ".venv" / "bin" / "python"
DATASET = "ag_news"
THREADS = 2


def child(python, script, *arguments):
    """Run a script in a process of its own and return the JSON that it prints."""
    command = [str(python), str(HERE / script), *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if ended.returncode:
        lines = ended.stderr.strip().splitlines() or ["it printed nothing"]
        raise RetrainError(f"{script} {arguments[0]}", f"failed ({lines[-1]})", "mend what it names")
    return json.loads(ended.stdout.strip().splitlines()[-1])


def workspace_with_rows(folder):
    """A copy of the project in which prepare, split, train and evaluate of AG News have run on `AG_NEWS_DIR`'s rows."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    yaml = params.round_trip()
    content = yaml.load((folder / params.FILE).read_text(encoding="utf-8"))
    rows = os.environ.get("AG_NEWS_DIR")
    if rows:
        for name in ("train", "test"):
            path = Path(rows).resolve() / f"{name}.csv"
            if not path.exists():
                raise RetrainError("AG_NEWS_DIR", f"has no {name}.csv", "name the folder that has AG News")
            content["datasets"][DATASET]["prepare"][name] = {"location": str(path), "sha256": files.sha256(path)}
        with (folder / params.FILE).open("w", encoding="utf-8") as stream:
            yaml.dump(content, stream)
    for stage in ("prepare", "split", "train"):
        run_stage(folder, stage)


def run_stage(folder, stage):
    """Run a stage of AG News in a workspace, as DVC would, but for its output."""
    surroundings = {**os.environ, "DVC_ROOT": str(ROOT), "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}
    command = [sys.executable, str(folder / "src" / f"{stage}.py"), "--dataset", DATASET]
    ended = subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RetrainError(stage, ended.stderr.strip().removeprefix("Error: "), "set AG_NEWS_DIR to AG News' folder")


def write_rows_for_others(folder, path):
    """The rows of train and test as texts and numbers of classes: title and description with a space between."""
    import pandas as pd

    rows = {}
    for name in ("train", "test"):
        table = pd.read_parquet(folder / "data" / DATASET / "splits" / f"{name}.parquet")
        *inputs, target = table.columns
        texts = [" ".join(row) for row in table[inputs].itertuples(index=False)]
        rows[name] = {"texts": texts, "labels": table[target].cat.codes.tolist()}
    path.write_text(json.dumps(rows), encoding="utf-8")


def spread(values):
    """Median, least and largest of some measurements."""
    return {"median": statistics.median(values), "least": min(values), "largest": max(values), "values": values}


def compare(folder, rows, repeats):
    """Ours and fastText by turns, so that both see the machine in the same moods; then one run each of the others."""
    theirs, ours = [], []
    for seed in range(1, repeats + 1):
        theirs.append(child(OTHERS, "others.py", "fasttext", rows, THREADS))
        click.echo(f"fastText        {theirs[-1]['accuracy']:.4f}  {theirs[-1]['train_seconds']:.2f} s")
        ours.append(child(sys.executable, "ours.py", "train", folder, DATASET, seed, THREADS, 0))
        click.echo(f"ours, seed {seed}    {ours[-1]['test']:.4f}  {ours[-1]['loop_seconds']:.2f} s in the loop")
    goal = statistics.mean(run["accuracy"] for run in theirs)
    reached = [
        child(sys.executable, "ours.py", "train", folder, DATASET, seed, THREADS, goal)
        for seed in range(1, repeats + 1)
    ]
    return theirs, ours, reached


def figures(theirs, ours, reached, prediction):
    """The figures that the issue of speed and accuracy is judged by; each ratio is ours / fastText."""
    trained = statistics.median(run["train_seconds"] for run in theirs)

    def ratio(values):
        return spread([value / trained for value in values])

    return {
        "accuracy": {
            "ours": {"mean": statistics.mean(run["test"] for run in ours), **spread([run["test"] for run in ours])},
            "ours_validation": {"mean": statistics.mean(run["validation"] for run in ours)},
            "fasttext": {
                "mean": statistics.mean(run["accuracy"] for run in theirs),
                **spread([run["accuracy"] for run in theirs]),
            },
        },
        "seconds": {
            "fasttext_train": spread([run["train_seconds"] for run in theirs]),
            "fasttext_spacing": spread([run["spacing_seconds"] for run in theirs]),
            "ours_features": spread([run["feature_seconds"] for run in ours]),
            "ours_loop": spread([run["loop_seconds"] for run in ours]),
            "ours_to_fasttext_accuracy": spread([run["seconds_to_goal"] or float("nan") for run in reached]),
            "load": spread([run["load_seconds"] for run in prediction]),
            "single_row": spread([run["single_row_milliseconds"] / 1000 for run in prediction]),
        },
        "ratio": {
            "train_loop": ratio([run["loop_seconds"] for run in ours])["median"],
            "rows_to_model": ratio([run["feature_seconds"] + run["loop_seconds"] for run in ours])["median"],
            "time_to_quality": ratio([run["seconds_to_goal"] or float("nan") for run in reached])["median"],
            "predict_rows_per_second": statistics.median(run["rows_per_second"] for run in prediction)
            / statistics.median(run["predict_rows_per_second"] for run in theirs),
            "model_bytes": prediction[0]["model_bytes"] / theirs[0]["model_bytes"],
        },
        "rows_per_second": {
            "ours": spread([run["rows_per_second"] for run in prediction]),
            "fasttext": spread([run["predict_rows_per_second"] for run in theirs]),
        },
        "bytes": {"ours": prediction[0]["model_bytes"], "fasttext": theirs[0]["model_bytes"]},
    }


def machine():
    """What it was measured on."""
    names = (
        [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        if Path("/proc/cpuinfo").exists()
        else []
    )
    return {
        "processor": names[0].split(":", 1)[1].strip() if names else platform.processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "threads": THREADS,
        "versions": {name: version(name) for name in ("torch", "numpy", "pandas")},
    }


@click.command()
@click.option("--quick", is_flag=True, help="Two repeats, and only what compares with fastText; writes nothing.")
@cli.one_line_errors
def main(quick):
    """Measure ours beside others on AG News: `AG_NEWS_DIR`'s rows, or those that prepare downloads."""
    os.chdir(environment.workspace())
    if not OTHERS.exists():
        raise RetrainError(str(OTHERS), "is missing", "run this by make bench, which makes it")
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder, rows = Path(temporary, "workspace"), Path(temporary, "rows.json")
        workspace_with_rows(folder)
        write_rows_for_others(folder, rows)
        theirs, ours, reached = compare(folder, rows, 2 if quick else 5)
        test = folder / "data" / DATASET / "splits" / "test.parquet"
        prediction = [child(sys.executable, "ours.py", "predict", folder / "models" / DATASET, test) for _ in theirs]
        results = {"machine": machine(), "rows": ours[0]["train_rows"], **figures(theirs, ours, reached, prediction)}
        if not quick:
            results["machine"]["versions"] |= child(OTHERS, "others.py", "versions", rows)
            results["others"] = {
                method: child(OTHERS, "others.py", method, rows) for method in ("linear_svc", "nb_svm")
            }
            results["course"] = course(folder)
            results["curves"] = [run["curve"] for run in reached]
            results["growth"] = growth.measure(folder / "data" / DATASET / "prepared" / "rows.parquet")
            results["overhead"] = overhead.measure()
            results["small"] = small.measure()
    if not quick:
        files.write_json(HERE / "results.json", results)
        report.write(results, HERE / "frontier.png", ROOT / "README.md")
    click.echo("\n".join(report.table(results)))
    click.echo(f"measured in {time.perf_counter() - begin:.0f} s")


def course(folder):
    """The course's recipe on the same rows, for comparison."""
    recipe = ROOT / "docs" / "recipes" / "ag_news_course.yaml"
    command = [str(Path(sys.executable).with_name("retrain")), "recipe", DATASET, str(recipe)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    for stage in ("prepare", "split"):
        run_stage(folder, stage)
    return child(sys.executable, "ours.py", "train", folder, DATASET, 1, 1, 0)


if __name__ == "__main__":
    main()
