"""`make bench`: ours beside fastText and others, on the same rows, in one run; `make bench-quick` in two minutes.

Writes results.json, a table into README.md, and frontier.png. All figures of time are medians of alternating runs.
"""

import json
import math
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

import ag_news
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


def workspace_with_rows(folder, given):
    """A copy of the project in which prepare, split and train of AG News have run, on the given files or downloaded ones."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    yaml = params.round_trip()
    content = yaml.load((folder / params.FILE).read_text(encoding="utf-8"))
    if given is not None:
        content["datasets"][DATASET]["prepare"].update(given)
        with (folder / params.FILE).open("w", encoding="utf-8") as stream:
            yaml.dump(content, stream)
    for stage in ("prepare", "split", "train"):
        run_stage(folder, stage)


def run_stage(folder, stage):
    """Run a stage of AG News in a workspace, as DVC would, but for its output."""
    root = ROOT if stage == "prepare" else folder  # downloads are kept, runs are not
    surroundings = {**os.environ, "DVC_ROOT": str(root), "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}
    command = [sys.executable, str(folder / "src" / f"{stage}.py"), "--dataset", DATASET]
    ended = subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, text=True, check=False)
    if ended.returncode:
        lines = ended.stderr.strip().splitlines() or ["it printed nothing"]
        way_out = f"or set {ag_news.VARIABLE} to the folder that has AG News" if stage == "prepare" else "mend that"
        raise RetrainError(stage, lines[-1].removeprefix("Error: "), way_out)


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
    """Median, least and largest of some measurements; None for what was never reached."""
    found = {"median": statistics.median(values), "least": min(values), "largest": max(values)}
    found = {name: value if math.isfinite(value) else None for name, value in found.items()}
    return {**found, "values": [value if math.isfinite(value) else None for value in values]}


def compare(folder, rows, repeats):
    """Ours and fastText by turns, a seed each: the machine's speed drifts, and so it does for both.

    Each turn trains both, once more ours until it is as accurate as fastText was in that turn, and predicts with ours;
    fastText predicts right after its training. Who is first changes from turn to turn.
    """
    test = folder / "data" / DATASET / "splits" / "test.parquet"
    theirs, ours, reached, prediction = [], [], [], []

    def fasttext(seed):
        theirs.append(child(OTHERS, "others.py", "fasttext", rows, THREADS, seed))
        click.echo(f"fastText        {theirs[-1]['accuracy']:.4f}  {theirs[-1]['train_seconds']:.2f} s")

    def retrain(seed):
        ours.append(child(sys.executable, "ours.py", "train", folder, DATASET, seed, THREADS, 0))
        click.echo(f"ours, seed {seed}    {ours[-1]['test']:.4f}  {ours[-1]['loop_seconds']:.2f} s in the loop")

    for seed in range(1, repeats + 1):
        for measured in (fasttext, retrain) if seed % 2 else (retrain, fasttext):
            measured(seed)
        goal = theirs[-1]["accuracy"]
        reached.append(child(sys.executable, "ours.py", "train", folder, DATASET, seed, THREADS, goal))
        prediction.append(child(sys.executable, "ours.py", "predict", folder / "models" / DATASET, test))
    return theirs, ours, reached, prediction


def figures(theirs, ours, reached, prediction):
    """The figures that the issue of speed and accuracy is judged by; a ratio is ours / fastText, the median of the turns'."""

    def by_turns(values, others):
        return spread([value / other for value, other in zip(values, others, strict=True)])

    trained = [run["train_seconds"] for run in theirs]
    goal_seconds = [run["seconds_to_goal"] or float("inf") for run in reached]
    ratios = {
        "train_loop": by_turns([run["loop_seconds"] for run in ours], trained),
        "rows_to_model": by_turns([run["feature_seconds"] + run["loop_seconds"] for run in ours], trained),
        "time_to_quality": by_turns(goal_seconds, trained),
        "predict_rows_per_second": by_turns(
            [run["rows_per_second"] for run in prediction], [run["predict_rows_per_second"] for run in theirs]
        ),
    }
    return {
        "accuracy": {
            "ours": {"mean": statistics.mean(run["test"] for run in ours), **spread([run["test"] for run in ours])},
            "ours_float16": {"mean": statistics.mean(run["test_float16"] for run in ours)},
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
            "ours_to_fasttext_accuracy": spread(goal_seconds),
            "load": spread([run["load_seconds"] for run in prediction]),
            "single_row": spread([run["single_row_milliseconds"] / 1000 for run in prediction]),
        },
        "ratio": {
            **{name: turns["median"] for name, turns in ratios.items()},
            "model_bytes": prediction[0]["model_bytes"] / theirs[0]["model_bytes"],
        },
        "ratio_by_turns": ratios,
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
    given = ag_news.given()
    os.chdir(environment.workspace())
    if not OTHERS.exists():
        raise RetrainError(str(OTHERS), "is missing", "run this by make bench, which makes it")
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder, rows = Path(temporary, "workspace"), Path(temporary, "rows.json")
        workspace_with_rows(folder, given)
        write_rows_for_others(folder, rows)
        theirs, ours, reached, prediction = compare(folder, rows, 2 if quick else 5)
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
